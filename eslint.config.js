import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const noProcess = {
  'no-restricted-globals': [
    'error',
    { name: 'process', message: 'Only the runner (run-module.ts) handles the process.' },
  ],
  'no-restricted-properties': [
    'error',
    { object: 'process', property: 'env', message: 'Only the runner reads the environment.' },
    { object: 'process', property: 'exit', message: 'Only the runner ends the process.' },
  ],
};
const azure = {
  group: ['azure-iot-*'],
  message: 'Only modules/common/src/edge/azure-*.ts may import the device SDK.',
};
const foreign = {
  group: [
    '**/local-edge/**',
    '@iotedge-redis/local-edge',
    '**/test/**',
    '@iotedge-redis/redis-*',
    '@iotedge-redis/kafka-*',
    '@iotedge-redis/stream-*',
  ],
  message: 'A module knows only @iotedge-redis/common.',
};

export default tseslint.config(
  { ignores: ['**/dist/**', '**/bundle/**', '**/node_modules/**', '.edge/**', 'config/**', 'coverage/**'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js', 'local-edge/bin/*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
            },
          ],
        },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true },
      ],
      '@typescript-eslint/no-dynamic-delete': 'off',
      'no-restricted-exports': [
        'error',
        {
          restrictDefaultExports: {
            direct: true,
            named: true,
            defaultFrom: true,
            namedFrom: true,
            namespaceFrom: true,
          },
        },
      ],
      eqeqeq: 'error',
    },
  },
  {
    files: ['modules/**/src/**/*.ts'],
    rules: {
      ...noProcess,
      'no-restricted-imports': ['error', { patterns: [azure, foreign] }],
      'no-console': 'error',
    },
  },
  {
    files: ['modules/common/src/edge/azure-*.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [foreign] }] },
  },
  {
    files: ['modules/common/src/runner/run-module.ts'],
    rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' },
  },
  {
    files: ['local-edge/src/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['@iotedge-redis/*', '**/modules/**', '**/test/**', 'azure-*'],
              message: 'The local edge runs modules as processes; it imports none of them.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.js'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly' },
      parserOptions: { projectService: false },
    },
  },
  { files: ['eslint.config.js'], rules: { 'no-restricted-exports': 'off' } },
);
