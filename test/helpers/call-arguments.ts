import { equal } from 'node:assert/strict';

/** The arguments of a call, read back from the protocol. */
export function argumentsOf(bytes: Buffer): string[] {
  const texts: string[] = [];
  let at = bytes.indexOf('\r\n') + 2;
  while (at < bytes.length) {
    const end = bytes.indexOf('\r\n', at);
    const length = Number(bytes.toString('latin1', at + 1, end));
    texts.push(bytes.toString('utf8', end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  equal(bytes.toString('latin1', 0, bytes.indexOf('\r\n')), `*${texts.length}`);
  return texts;
}
