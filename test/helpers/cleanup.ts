import type { TestContext } from 'node:test';

type Work = () => void | Promise<void>;

const stacks = new WeakMap<TestContext, Work[]>();

/** Runs with the end of the test, last one first: what was started last may need what was started before. */
export function onEnd(t: TestContext, work: Work): void {
  const known = stacks.get(t);
  if (known !== undefined) {
    known.push(work);
    return;
  }
  const stack = [work];
  stacks.set(t, stack);
  t.after(async () => {
    const failures: unknown[] = [];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      try {
        await next();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'ending what the test started');
  });
}

const atExit = new Set<() => void>();

/** Runs when the process ends, also without its hooks, so that what a test started is never left behind. By one listener for all of them. */
export function onExit(work: () => void): void {
  if (atExit.size === 0)
    process.once('exit', () => {
      for (const one of atExit) one();
    });
  atExit.add(work);
}
