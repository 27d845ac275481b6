import { deepEqual } from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { withoutWarning } from '../../../local-edge/src/without-warning.ts';

test('warnings of one name go unsaid while something is done, others and later ones do not', async (t) => {
  const said: string[] = [];
  const hear = (warning: Error): void => void said.push(warning.name);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  await withoutWarning('FirstWarning', async () => {
    process.emitWarning('unsaid', 'FirstWarning');
    process.emitWarning('said', 'SecondWarning');
    await nextTurn();
  });
  process.emitWarning('said', 'FirstWarning');
  await nextTurn();
  deepEqual(said, ['SecondWarning', 'FirstWarning']);
});
