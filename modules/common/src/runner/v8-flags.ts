import { flushCompileCache } from 'node:module';
import { cachedDataVersionTag, setFlagsFromString } from 'node:v8';
import type { Log } from '../log.ts';

/** What `V8_FLAGS_WHEN_UP` asks for, and the numbers of its entries, from 1, that are none to be set here. */
export interface V8FlagList {
  readonly flags: readonly string[];
  readonly refused: readonly number[];
}

const flag = /^--(?:no-?)?([a-z][a-z\d]*(?:-[a-z\d]+)*)(?:=[a-zA-Z\d-]+)?$/;
/** They write into the log, which is lines of the module alone, or end the process. */
const printsOrEnds = /^(?:help|version|print|trace|dump|log|abort|exit)(?:-|$)|-(?:print|trace|dump)(?:-|$)/;

/** Reads `--name` and `--name=value`, of letters, digits and hyphens, separated by commas. An empty text names none. */
export function readV8Flags(list: string): V8FlagList {
  const flags: string[] = [];
  const refused: number[] = [];
  for (const [index, part] of list.split(',').entries()) {
    const entry = part.trim();
    if (entry === '') continue;
    const name = flag.exec(entry)?.[1];
    if (name === undefined || printsOrEnds.test(name)) refused.push(index + 1);
    else flags.push(entry);
  }
  return { flags, refused };
}

/** One line for all entries that are left out. It gives no text of theirs: it may be anything. */
export function tellRefused({ refused }: V8FlagList, log: Log): void {
  if (refused.length === 0) return;
  log.warn(
    'V8_FLAGS_WHEN_UP: entries are left out. Write --name or --name=value, separated by commas and without quotes, as in --heap-growing-percent=20,--no-maglev; no flags that print or end the process; nothing for no flags',
    { entries: refused },
  );
}

/**
 * Sets flags of V8 in a process that is up. On Node's command line these flags would make V8 refuse the code that Node carries
 * compiled, since that was made without them: a third more time to start.
 */
export function setV8Flags(flags: readonly string[], log: Log): void {
  if (flags.length === 0) return;
  // What is kept of compiled code bears the flags of the moment in which it is written, and is read before these are set.
  flushCompileCache();
  const idle = flags.filter((one) => {
    const before = cachedDataVersionTag();
    setFlagsFromString(one);
    // The tag is made of all flags. What V8 has to say of a name that it does not know goes to standard error, without the variable.
    return cachedDataVersionTag() === before;
  });
  if (idle.length > 0)
    log.info('V8_FLAGS_WHEN_UP: flags changed nothing: V8 does not know them, or it was so already', {
      flags: idle,
    });
}
