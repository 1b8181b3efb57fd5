// The counting behind ./test: what crashed, fell silent, skipped or ended early can never look like a success.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '../../support/child.mjs';
import { ROOT } from '../../support/stack.mjs';

let folder;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'penstock-tap-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function count(tap, code = 0) {
  const file = path.join(folder, 'out.tap');
  await writeFile(file, tap);
  const args = ['-v', `code=${code}`, '-v', `why=${path.join(folder, 'why')}`, '-f', `${ROOT}/tools/dev/count_tap.awk`, file];
  const { stdout } = await runProgram('awk', args);
  return stdout.trim();
}

const cases = [
  ['all pass', '1..2\nok 1 - a\nok 2 - b\n', 0, '2 0 0'],
  ['one fails', '1..2\nok 1 - a\nnot ok 2 - b\n', 1, '1 1 0'],
  ['silence', '', 0, '0 1 0'],
  ['a crash before the first test', 'Segmentation fault\n', 139, '0 1 0'],
  ['a crash half-way', '1..3\nok 1 - a\n', 139, '1 1 0'],
  ['a bad status after passing', '1..1\nok 1 - a\n', 1, '1 1 0'],
  ['a sanitizer after the plan at the end', 'ok 1 - a\n1..1\n', 23, '1 1 0'],
  ['several groups in one program', '1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n', 0, '3 0 0'],
  ['a group that ended early', '1..1\nok 1 - a\n1..2\nok 1 - b\n', 139, '2 1 0'],
  ['a skip is a failure', '1..2\nok 1 - a\nok 2 - b # SKIP not today\n', 0, '1 1 0'],
  ['a skip for a tool that cannot be is neither', '1..2\nok 1 - a\nok 2 - b # SKIP tool: clang-format 14\n', 0, '1 0 1'],
  ['parts count, their sum does not', '    ok 1 - a\n    not ok 2 - b\n    1..2\nnot ok 1 - sum\n1..1\n', 1, '1 1 0'],
  ['a sum that fails by itself', '    ok 1 - a\n    1..1\nnot ok 1 - sum\n1..1\n', 1, '1 1 0'],
  ['deep parts', '        ok 1 - a\n        ok 2 - b\n    ok 1 - mid\nok 1 - top\nok 2 - other\n1..2\n', 0, '3 0 0'],
  ['words that only look like results', 'okay\nnot okay\n1..1\nok 1 - a\n', 0, '1 0 0'],
];
for (const [name, tap, code, expected] of cases) {
  test(name, async () => assert.equal(await count(tap, code), expected));
}
