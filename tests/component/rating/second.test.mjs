// The engine against a second implementation: random tariffs × random usage × random rhythms × changes of version, holder,
// zone and registers × late and corrected readings, each charge equal to the last unit; given usages, and what money buys.
// A failing case prints its seed and its lines: with the right answer behind "= " they become a file of kept/, because a
// seed names a case only until the generator learns more.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Engine } from '../../second_rating/compare.mjs';
import { buildDir } from '../../support/stack.mjs';

// One thread sees no races: under the thread sanitizer a few cases do.
const LONG = process.env.PENSTOCK_TEST_LONG && !buildDir().includes('tsan');
const CASES = Number(process.env.PENSTOCK_CASES ?? (LONG ? 2_000_000 : 20_000));
const FIRST = Number(process.env.PENSTOCK_SEED ?? 1);
const WORKERS = Math.min(8, os.availableParallelism());
const program = path.join(buildDir(), 'tests/rating_driver');

function inWorker(seeds) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('../../second_rating/compare.mjs', import.meta.url), { workerData: { program, seeds }, resourceLimits: { maxYoungGenerationSizeMb: 128 } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

const KEPT = new URL('../../second_rating/kept/', import.meta.url);

for (const name of readdirSync(KEPT).sort()) {
  test(`once a mismatch: ${name}`, async () => {
    const [text, wanted] = readFileSync(new URL(name, KEPT), 'utf8').split('\n= ');
    const engine = new Engine(program);
    engine.write(`${text}\n`);
    assert.equal(await engine.answer(), wanted.trimEnd());
    engine.end();
  });
}

test(`${CASES} random cases from seed ${FIRST} are charged alike, to the last unit`, async (t) => {
  const shares = Array.from({ length: WORKERS }, (_, n) => Array.from({ length: Math.ceil((CASES - n) / WORKERS) }, (_, i) => FIRST + n + i * WORKERS));
  const found = await Promise.all(shares.map(inWorker));
  const sum = (key) => found.reduce((total, one) => total + one[key], 0);
  t.diagnostic(`${sum('cases')} cases, ${sum('readings')} readings`);
  assert.equal(found.flatMap(({ mismatches }) => mismatches).join('\n'), '');
  assert.equal(sum('cases'), CASES);
});
