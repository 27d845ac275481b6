import { isUtf8 } from 'node:buffer';

const REPLACEMENT = '\ufffd';

/** The text of bytes, or undefined when they are not UTF-8. */
export function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString();
  // Decoding puts the replacement character where bytes are wrong, so only texts that hold one need the second look.
  return text.includes(REPLACEMENT) && !isUtf8(bytes) ? undefined : text;
}

/** A readable name for any bytes: what is not UTF-8 (a lone surrogate, for one) is percent-escaped byte by byte. */
export function nameOf(bytes: Buffer, escape: (text: string) => string = (text) => text): string {
  const whole = textOf(bytes);
  if (whole !== undefined) return escape(whole);
  let name = '';
  let start = 0;
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find((n) => at + n <= bytes.length && isUtf8(bytes.subarray(at, at + n)));
    if (length === undefined) {
      name += escape(bytes.toString('utf8', start, at)) + percent(bytes[at] ?? 0);
      start = at + 1;
    }
    at += length ?? 1;
  }
  return name + escape(bytes.toString('utf8', start));
}

/** `%2B` for a byte. */
export function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
