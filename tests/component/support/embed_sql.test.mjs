// Statements reach C as they stand in their files: backslashes and quotes included.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '../../support/child.mjs';
import { ROOT } from '../../support/stack.mjs';

let dir;
before(async () => { dir = await mkdtemp(path.join(os.tmpdir(), 'penstock-embed-')); });
after(() => rm(dir, { recursive: true, force: true }));

async function embed(text) {
  const file = path.join(dir, 'one.sql');
  await writeFile(file, text);
  const args = ['-v', 'symbol=one', '-v', `out=${dir}`, '-f', path.join(ROOT, 'cmake/embed_sql.awk'), file];
  const { code, stderr } = await runProgram('awk', args);
  return { code, stderr, source: code === 0 ? await readFile(path.join(dir, 'one_sql.c'), 'utf8') : '' };
}

test('backslashes, quotes and lines keep their meaning', async () => {
  const { source } = await embed('-- name: odd\n-- What it promises.\nselect \'\\x00\'::bytea,\n       "q";\n');
  assert.ok(source.includes(String.raw`{"odd",` + '\n' + String.raw`    "select '\\x00'::bytea,\n"` + '\n' + String.raw`    "       \"q\""};`), source);
});

test('a name twice, a malformed name and text before the first name are refused with their place', async () => {
  for (const [text, why] of [
    ['-- name: a\nselect 1\n-- name: a\nselect 2\n', /one\.sql:3: two statements are named a/],
    ['-- name: A\nselect 1\n', /one\.sql:1: a statement name is lower_case/],
    ['select 1\n', /one\.sql:1: text before the first/],
  ]) {
    const { code, stderr } = await embed(text);
    assert.equal(code, 1);
    assert.match(stderr, why);
  }
});
