import type { ImageModule } from './image-modules.ts';

/** Names of platforms as IoT Edge's tools spell them. */
export const platforms = ['amd64', 'amd64.debug', 'arm32v7', 'arm64v8', 'arm64v8.debug'] as const;
export type Platform = (typeof platforms)[number];

const docker: Record<Platform, string> = {
  amd64: 'linux/amd64',
  'amd64.debug': 'linux/amd64',
  arm32v7: 'linux/arm/v7',
  arm64v8: 'linux/arm64',
  'arm64v8.debug': 'linux/arm64',
};

/** Answers with the code 0 or 1, from the address and port that the module listens on. */
const healthcheck = [
  'node',
  '-e',
  "require('node:http').get({host:process.env.HTTP_HOST||'127.0.0.1',port:process.env.HTTP_PORT||9600,path:'/healthz'},(reply)=>process.exit(reply.statusCode===200?0:1)).on('error',()=>process.exit(1))",
];

/** mqtt.js in the device SDK calls url.parse(), which Node reports for code that does not lie in a node_modules folder. */
const flagsOfAll = ['--disable-warning=DEP0169'];
const flagsOfDebug = ['--inspect=0.0.0.0:9229', '--enable-source-maps'];

/** The Dockerfile of a module for a platform. `names` are all modules, whose packages are installed in one step for all images. */
export function dockerfile(module: ImageModule, platform: Platform, names: readonly string[]): string {
  const { name, title, description, version, nodeFlags, v8FlagsWhenUp, hasStateFolder } = module;
  const isDebug = platform.endsWith('.debug');
  const isArm32 = platform === 'arm32v7';
  const base = `node:${isArm32 ? 22 : 24}-bookworm-slim`;
  const workspaces = ['build', ...['common', ...names].map((one) => `modules/${one}`)];
  const command = [
    'node',
    ...flagsOfAll,
    ...nodeFlags,
    ...(isDebug ? flagsOfDebug : []),
    `modules/${name}/bundle/main.js`,
  ];
  const whenUp = v8FlagsWhenUp.length === 0 ? [] : [`V8_FLAGS_WHEN_UP=${v8FlagsWhenUp.join(',')}`];
  const labels = Object.entries({ title, description, version, licenses: 'MIT' }).map(
    ([key, value]) => `org.opencontainers.image.${key}=${JSON.stringify(value)}`,
  );
  const lines = [
    // A parser directive: it comes before every other line.
    '# check=skip=FromPlatformFlagConstDisallowed',
    '# Written by `npm run dockerfiles` from build/dockerfile.ts: change it there.',
    `# Build from the repository's root: docker build -f modules/${name}/Dockerfile.${platform} .`,
    `# To pin the image below it: --build-arg BASE_IMAGE=${base}@sha256:…`,
    'ARG BUILD_IMAGE=node:24-bookworm-slim',
    ...(isArm32 ? ['# Node 24 has no images for 32-bit ARM; 22 is the last release line that does.'] : []),
    `ARG BASE_IMAGE=${base}`,
    '',
    '# What is made here is the same for every processor, so it is made on that of the builder.',
    'FROM ${BUILD_IMAGE} AS build',
    'WORKDIR /app',
    'COPY package.json package-lock.json .npmrc tsconfig.base.json ./',
    ...workspaces.map((folder) => `COPY ${folder}/package.json ${folder}/`),
    `RUN npm ci --ignore-scripts --omit=dev ${workspaces.map((folder) => `--workspace=${folder}`).join(' ')}`,
    'COPY build build',
    'COPY modules/common modules/common',
    `COPY modules/${name} modules/${name}`,
    `RUN node build/bundle.ts ${isDebug ? '--debug ' : ''}${name}`,
    ...(hasStateFolder ? ['RUN mkdir /state'] : []),
    '',
    '# No command runs in this stage: no emulator is needed to build for another processor.',
    `FROM --platform=${docker[platform]} \${BASE_IMAGE}`,
    'ARG REVISION=""',
    'ARG SOURCE=""',
    `LABEL ${[...labels, ...['source="${SOURCE}"', 'revision="${REVISION}"'].map((one) => `org.opencontainers.image.${one}`)].join(' \\\n      ')}`,
    'WORKDIR /app',
    '# One malloc arena; flags of V8 that would delay the start are set after it.',
    `ENV ${['NODE_ENV=production', 'MALLOC_ARENA_MAX=1', ...whenUp].join(' ')}`,
    `COPY --from=build /app/modules/${name}/package.json modules/${name}/`,
    `COPY --from=build /app/modules/${name}/bundle modules/${name}/bundle`,
    ...(hasStateFolder
      ? [
          '# A new volume takes its owner from the folder that it is mounted on.',
          'COPY --from=build --chown=1000:1000 /state /state',
        ]
      : []),
    '# The user node of the image; by number, so that Kubernetes sees that it is not root.',
    'USER 1000:1000',
    `EXPOSE 9600${isDebug ? ' 9229' : ''}`,
    `HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ${list(healthcheck)}`,
    ...(isDebug
      ? [
          "# The debugger listens on all addresses of the container: publish 9229 on the host's loopback only.",
        ]
      : []),
    '# Process 1 is Node itself, not the script of the Node image: it gets SIGTERM.',
    'ENTRYPOINT []',
    `CMD ${list(command)}`,
  ];
  return `${lines.join('\n')}\n`;
}

function list(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(', ')}]`;
}
