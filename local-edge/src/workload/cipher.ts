import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

/** AES-256-GCM with a key of the module's own; `iv` is the caller's text, of any length. */
export interface CipherScope {
  /** base64, stays the same as long as the identity does. */
  readonly secret: string;
  readonly moduleId: string;
  readonly generationId: string;
  readonly iv: string;
}

const tagBytes = 16;

export function encrypt(scope: CipherScope, plaintext: Buffer): Buffer {
  const { key, nonce } = derive(scope);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([body, cipher.getAuthTag()]);
}

/** Undefined when it was not encrypted by this module with this `iv`. */
export function decrypt(scope: CipherScope, ciphertext: Buffer): Buffer | undefined {
  if (ciphertext.length < tagBytes) return undefined;
  const { key, nonce } = derive(scope);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAuthTag(ciphertext.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(ciphertext.subarray(0, -tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function derive({ secret, moduleId, generationId, iv }: CipherScope): { key: Buffer; nonce: Buffer } {
  const salt = `${moduleId}/${generationId}/${iv}`;
  const bytes = Buffer.from(hkdfSync('sha256', Buffer.from(secret, 'base64'), salt, 'workload', 44));
  return { key: bytes.subarray(0, 32), nonce: bytes.subarray(32) };
}
