/** Bytes of a variable byte integer. (MQTT 5, 1.5.5.) */
export function varintSize(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/** Writes a variable byte integer and answers where it ends. */
export function writeVarint(value: number, target: Buffer, start: number): number {
  let at = start;
  let left = value;
  do {
    const byte = left % 128;
    left = Math.floor(left / 128);
    target[at++] = left > 0 ? byte | 0x80 : byte;
  } while (left > 0);
  return at;
}
