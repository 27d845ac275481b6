/** What an MQTT 5 reason code of a PUBACK or PUBREC means for the entry. */
export type Outcome = 'accepted' | 'refused' | 'again';

const REFUSED: Readonly<Record<number, string>> = {
  0x87: 'not authorized',
  0x90: 'topic name invalid',
  0x95: 'packet too large',
  0x99: 'payload format invalid',
};

const AGAIN: Readonly<Record<number, string>> = {
  0x80: 'unspecified error',
  0x83: 'implementation specific error',
  0x91: 'packet identifier in use',
  0x97: 'quota exceeded',
};

/** Codes from 0x80 are failures; only those that no second try can change are the entry's own fault. */
export function outcomeOf(code: number): Outcome {
  if (code < 0x80) return 'accepted';
  return code in REFUSED ? 'refused' : 'again';
}

export function reasonText(code: number): string {
  return REFUSED[code] ?? AGAIN[code] ?? 'an error';
}

/** `0x87` */
export function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}
