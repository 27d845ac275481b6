// The length of a twin string when the tools were made; they kept it, and IoT Hub still takes it.
const pieceLength = 512;
const mostPieces = 8;

/** Name of the nth piece: createOptions, createOptions01, createOptions02, … */
function pieceName(index: number): string {
  return index === 0 ? 'createOptions' : `createOptions${String(index).padStart(2, '0')}`;
}

/** Cuts createOptions into the pieces that go into a manifest, or says that they are too long. */
export function splitCreateOptions(text: string): Record<string, string> | { readonly problem: string } {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + pieceLength, text.length);
    // Half a surrogate pair is no character and would not survive the twin.
    if (end < text.length && /[\uD800-\uDBFF]/.test(text[end - 1] ?? '')) end--;
    pieces.push(text.slice(at, end));
    at = end;
  }
  if (pieces.length > mostPieces) {
    return {
      problem: `createOptions have ${text.length} characters; the tools take ${pieceLength * mostPieces} at most.`,
    };
  }
  return Object.fromEntries(
    (pieces.length === 0 ? [''] : pieces).map((piece, index) => [pieceName(index), piece]),
  );
}

/**
 * Joins the pieces as edgeAgent does: in order, without a gap, up to createOptions99, names without regard to case, pieces of
 * any length. Answers the text, or what is wrong with it.
 */
export function joinCreateOptions(
  settings: Readonly<Record<string, unknown>>,
): string | { readonly problem: string } {
  const pieces = new Map<number, unknown>();
  for (const [key, value] of Object.entries(settings)) {
    const match = /^createoptions(\d*)$/i.exec(key);
    if (match === null) continue;
    const digits = match[1] ?? '';
    if (digits !== '' && (digits.length !== 2 || digits === '00')) {
      return {
        problem: `${key} is no name of a piece of createOptions: those are createOptions01 to createOptions99.`,
      };
    }
    pieces.set(digits === '' ? 0 : Number(digits), value);
  }
  let text = '';
  for (let index = 0; index < pieces.size; index++) {
    if (!pieces.has(index))
      return { problem: `${pieceName(index)} is missing between the pieces of createOptions.` };
    const piece = pieces.get(index) ?? '';
    if (typeof piece !== 'string') {
      if (pieces.size === 1 && typeof piece === 'object') return JSON.stringify(piece);
      return { problem: `${pieceName(index)} is not a string.` };
    }
    text += piece;
  }
  return text;
}
