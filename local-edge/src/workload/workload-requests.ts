import type { Certificates } from '../certificates.ts';
import type { ModuleIdentity } from '../hub/hub-api.ts';
import type { HubCore } from '../hub/hub.ts';
import { sign } from '../hub/sas-token.ts';
import { isObject } from '../hub/twin-merge.ts';
import { decrypt, encrypt, type CipherScope } from './cipher.ts';

export interface WorkloadRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly body: string;
}

export interface WorkloadReply {
  readonly status: number;
  readonly body: unknown;
}

export interface WorkloadContext {
  readonly hub: HubCore;
  readonly certificates: Certificates;
  /** The module whose socket this is: the stand-in for edgelet's look at the caller's process. */
  readonly moduleId: string;
  readonly now: () => number;
}

const oldestApiVersion = '2018-06-28';
const defaultCertificateMs = 90 * 24 * 3600 * 1000;

/** Answers one request of the workload API. */
export async function answerWorkload(
  context: WorkloadContext,
  request: WorkloadRequest,
): Promise<WorkloadReply> {
  const [path = '', query = ''] = request.url.split('?');
  const apiVersion = new URLSearchParams(query).get('api-version') ?? '';
  if (!/^\d{4}-\d{2}-\d{2}/.test(apiVersion) || apiVersion < oldestApiVersion) {
    return error(400, `api-version must be ${oldestApiVersion} or later`);
  }
  const route = `${request.method} ${path.replace(/\/$/, '')}`;
  if (route === 'GET /trust-bundle') return trustBundle(context);
  // without a signed manifest there is no such bundle, and edgelet says so
  if (route === 'GET /manifest-trust-bundle') return error(404, 'certificate not found');
  if (route === 'GET /modules') return listModules(context);
  return answerModuleRequest(context, route, request.body);
}

function trustBundle({ hub, certificates }: WorkloadContext): WorkloadReply {
  if (hub.faults.trustBundleFails) return error(500, 'trust-bundle requests fail: a fault is switched on');
  return { status: 200, body: { certificate: certificates.caPem } };
}

function listModules({ hub }: WorkloadContext): WorkloadReply {
  const modules = hub.identities.list().map(({ moduleId }) => ({
    id: moduleId,
    name: moduleId,
    type: 'docker',
    config: { settings: {}, env: [] },
    status: {
      runtimeStatus: { status: hub.identities.connection(moduleId).connected ? 'running' : 'unknown' },
    },
  }));
  return { status: 200, body: { modules } };
}

/** `POST /modules/M/genid/G/<what>` and `POST /modules/M/certificate/identity`; the generation id is not looked at. */
async function answerModuleRequest(
  context: WorkloadContext,
  route: string,
  text: string,
): Promise<WorkloadReply> {
  const match =
    /^POST \/modules\/([^/]+)\/(?:genid\/[^/]+\/(sign|encrypt|decrypt|certificate\/server)|(certificate\/identity))$/.exec(
      route,
    );
  const operation = match?.[2] ?? match?.[3];
  const moduleId = decodePart(match?.[1]);
  if (operation === undefined || moduleId === undefined) {
    return error(404, `the workload API has no ${route}`);
  }
  const identity = context.hub.identities.get(context.moduleId);
  if (moduleId !== context.moduleId) return error(403, `this socket belongs to ${context.moduleId}`);
  if (identity === undefined) return error(404, `there is no module ${moduleId}`);
  const body = parse(text);
  switch (operation) {
    case 'sign':
      return signData(context, identity, body);
    case 'encrypt':
      return encryptText(identity, body);
    case 'decrypt':
      return decryptText(identity, body);
    case 'certificate/server':
      return issueServer(context, body);
    default:
      return issueIdentity(context, body);
  }
}

function signData({ hub }: WorkloadContext, identity: ModuleIdentity, body: Body): WorkloadReply {
  if (hub.faults.signFails) return error(500, 'sign requests fail: a fault is switched on');
  // keyId and algo are not looked at
  if (body['data'] === undefined) return error(400, 'the body has no "data" text');
  return {
    status: 200,
    body: { digest: sign(identity.primaryKey, Buffer.from(body['data'], 'base64')) },
  };
}

function encryptText(identity: ModuleIdentity, body: Body): WorkloadReply {
  const { plaintext, initializationVector: iv } = body;
  if (plaintext === undefined || iv === undefined) {
    return error(400, 'the body must have "plaintext" and "initializationVector" texts');
  }
  const ciphertext = encrypt(scopeOf(identity, iv), Buffer.from(plaintext, 'base64'));
  return { status: 200, body: { ciphertext: ciphertext.toString('base64') } };
}

function decryptText(identity: ModuleIdentity, body: Body): WorkloadReply {
  const { ciphertext, initializationVector: iv } = body;
  if (ciphertext === undefined || iv === undefined) {
    return error(400, 'the body must have "ciphertext" and "initializationVector" texts');
  }
  const plaintext = decrypt(scopeOf(identity, iv), Buffer.from(ciphertext, 'base64'));
  if (plaintext === undefined)
    return error(400, 'the ciphertext was not made by this module with this vector');
  return { status: 200, body: { plaintext: plaintext.toString('base64') } };
}

function scopeOf(identity: ModuleIdentity, iv: string): CipherScope {
  const { moduleId, generationId, primaryKey } = identity;
  return { secret: primaryKey, moduleId, generationId, iv };
}

async function issueServer(context: WorkloadContext, body: Body): Promise<WorkloadReply> {
  const { commonName } = body;
  if (!commonName) return error(400, 'the body has no "commonName" text');
  // the module id goes in without a leading $, which DNS names do not have
  const names = [...new Set([commonName, context.moduleId.replace(/^\$/, '')])];
  return issue(context, body, { commonName, names, use: 'server' });
}

async function issueIdentity(context: WorkloadContext, body: Body): Promise<WorkloadReply> {
  const { hub, moduleId } = context;
  const uris = [`azureiot://${hub.hostName}/devices/${hub.deviceId}/modules/${moduleId}`];
  return issue(context, body, { commonName: moduleId, names: [], uris, use: 'client' });
}

async function issue(
  { certificates, now }: WorkloadContext,
  body: Body,
  request: { commonName: string; names: string[]; uris?: string[]; use: 'server' | 'client' },
): Promise<WorkloadReply> {
  const asked =
    body['expiration'] === undefined ? now() + defaultCertificateMs : Date.parse(body['expiration']);
  if (Number.isNaN(asked) || asked <= now()) return error(400, '"expiration" must be a time in the future');
  const issued = await certificates.issue({ ...request, expires: new Date(asked) });
  return {
    status: 201,
    body: {
      privateKey: { type: 'key', bytes: issued.privateKeyPem },
      certificate: issued.certificatePem,
      expiration: issued.expiration,
    },
  };
}

/** The text fields of a JSON body; everything else counts as absent. */
type Body = Readonly<Record<string, string | undefined>>;

function parse(text: string): Body {
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value)) return {};
    const texts: Record<string, string> = {};
    for (const [name, item] of Object.entries(value)) if (typeof item === 'string') texts[name] = item;
    return texts;
  } catch {
    return {};
  }
}

function decodePart(part: string | undefined): string | undefined {
  try {
    return part === undefined ? undefined : decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function error(status: number, message: string): WorkloadReply {
  return { status, body: { message } };
}
