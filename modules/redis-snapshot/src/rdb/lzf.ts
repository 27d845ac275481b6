/**
 * Unpacks LZF, as Redis packs strings with it: a control byte below 32 is followed by that many bytes plus one as they are,
 * any other repeats what was unpacked before. Undefined when the packed bytes do not make exactly `size` bytes.
 */
export function unpackLzf(packed: Buffer, size: number): Buffer | undefined {
  // No packing makes more than 264 bytes of three, so a size beyond that is nonsense and must not be allocated.
  if (size > packed.length * 264) return undefined;
  const out = Buffer.allocUnsafe(size);
  let from = 0;
  let to = 0;
  while (from < packed.length) {
    const control = byteAt(packed, from++);
    if (control < 32) {
      const end = from + control + 1;
      if (end > packed.length || to + control + 1 > size) return undefined;
      to += packed.copy(out, to, from, end);
      from = end;
      continue;
    }
    let count = control >> 5;
    if (count === 7) {
      if (from >= packed.length) return undefined;
      count += byteAt(packed, from++);
    }
    if (from >= packed.length) return undefined;
    let source = to - ((control & 0x1f) << 8) - byteAt(packed, from++) - 1;
    count += 2;
    if (source < 0 || to + count > size) return undefined;
    // Byte by byte: source and target may overlap, which repeats a pattern.
    for (; count > 0; count -= 1) out[to++] = byteAt(out, source++);
  }
  return to === size ? out : undefined;
}

function byteAt(bytes: Buffer, index: number): number {
  return bytes[index] ?? 0;
}
