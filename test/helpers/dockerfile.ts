import { readFileSync } from 'node:fs';

export interface Instruction {
  /** In capitals, as in `COPY`. */
  readonly word: string;
  readonly text: string;
}

export interface Stage {
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile; what stands before the first FROM is a stage of its own, named `global`. */
export function readStages(file: string): Stage[] {
  const lines = readFileSync(file, 'utf8').replaceAll('\\\n', ' ').split('\n');
  const stages: { name: string | undefined; instructions: Instruction[] }[] = [
    { name: 'global', instructions: [] },
  ];
  for (const line of lines) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, word = '', text = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    if (word === 'FROM') stages.push({ name: / AS (\S+)$/.exec(text)?.[1], instructions: [] });
    stages.at(-1)?.instructions.push({ word, text: text.replaceAll(/\s+/g, ' ').trim() });
  }
  return stages;
}

/** The text of the one instruction of this kind in a stage. */
export function only(stage: Stage, word: string): string {
  const found = stage.instructions.filter((one) => one.word === word);
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`expected one ${word}, found ${found.length}`);
  return found[0].text;
}

/** Sources and destination of a COPY; `from` is the stage that it copies from. */
export function readCopy(text: string): { from: string | undefined; sources: string[]; target: string } {
  const all = text.split(' ');
  const from = all.find((word) => word.startsWith('--from='))?.slice('--from='.length);
  const words = all.filter((word) => !word.startsWith('--'));
  const target = words.pop() ?? '';
  return { from, sources: words, target };
}
