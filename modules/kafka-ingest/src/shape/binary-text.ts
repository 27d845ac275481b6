const BEYOND_ASCII = /[\u0080-\uffff]/;

/**
 * Names are kept as "binary strings": one character per byte of their UTF-8 form. Kafka keys need not be valid UTF-8, and such
 * a string has its length in bytes at hand, is joined without copying, and is written in one go.
 */
export function toBinary(text: string): string {
  return BEYOND_ASCII.test(text) ? Buffer.from(text).toString('latin1') : text;
}

/** Back to ordinary text, for logs and JSON; what is no UTF-8 becomes U+FFFD. */
export function fromBinary(binary: string): string {
  return BEYOND_ASCII.test(binary) ? Buffer.from(binary, 'latin1').toString() : binary;
}
