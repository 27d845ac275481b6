import { isUtf8 } from 'node:buffer';

const REPLACEMENT = '\ufffd';

/** The text of bytes, or undefined when they are not UTF-8. */
export function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString();
  // Decoding puts the replacement character where bytes are wrong, so only texts that hold one need the second look.
  return text.includes(REPLACEMENT) && !isUtf8(bytes) ? undefined : text;
}

/** A readable name for any bytes: what is not UTF-8 (a lone surrogate, for one) is percent-escaped byte by byte. */
export function nameOf(bytes: Buffer): string {
  const text = textOf(bytes);
  if (text !== undefined) return text;
  let name = '';
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((n) => at + n <= bytes.length && isUtf8(bytes.subarray(at, at + n)));
    if (length === undefined) name += percent(bytes[at] ?? 0);
    else name += bytes.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return name;
}

/** `%2B` for a byte. */
export function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
