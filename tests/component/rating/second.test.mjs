// The engine against a second implementation: random tariffs × random usage × random rhythms × changes of version, holder,
// zone and registers × late and corrected readings, each charge equal to the last unit; given usages, and what money buys.
// A failing case prints its seed; put the seed into KEPT, so that it stays a case for ever.
import assert from 'node:assert/strict';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { compare } from '../../second_rating/compare.mjs';
import { buildDir } from '../../support/stack.mjs';

const KEPT = [
  7,
  373, // more edges of volume tiers than a state remembers
  1858, // 30 December 2011 of Apia, which never was
  2311, 3998, 11958, // Newfoundland's clock went back over midnight: days were counted for ever
];
const CASES = Number(process.env.PENSTOCK_CASES ?? (process.env.PENSTOCK_TEST_LONG ? 2_000_000 : 20_000));
const FIRST = Number(process.env.PENSTOCK_SEED ?? 1);
const WORKERS = Math.min(8, os.availableParallelism());
const program = path.join(buildDir(), 'tests/rating_driver');

function inWorker(seeds) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('../../second_rating/compare.mjs', import.meta.url), { workerData: { program, seeds } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

test('cases that were once a mismatch', async () => {
  const { cases, mismatches } = await compare({ program, seeds: KEPT });
  assert.deepEqual(mismatches, []);
  assert.equal(cases, KEPT.length);
});

test(`${CASES} random cases from seed ${FIRST} are charged alike, to the last unit`, async (t) => {
  const shares = Array.from({ length: WORKERS }, (_, n) => Array.from({ length: Math.ceil((CASES - n) / WORKERS) }, (_, i) => FIRST + n + i * WORKERS));
  const found = await Promise.all(shares.map(inWorker));
  const sum = (key) => found.reduce((total, one) => total + one[key], 0);
  t.diagnostic(`${sum('cases')} cases, ${sum('readings')} readings`);
  assert.equal(found.flatMap(({ mismatches }) => mismatches).join('\n'), '');
  assert.equal(sum('cases'), CASES);
});
