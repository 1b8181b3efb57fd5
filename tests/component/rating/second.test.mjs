// The engine against a second implementation: random tariffs × random usage × random rhythms, each charge equal to the
// last unit. A failing case prints its seed; put the seed into KEPT, so that it stays a case for ever.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { after, test } from 'node:test';
import { rateReadings } from '../../second_rating/model.mjs';
import { Random, randomReadings, randomTariff } from '../../second_rating/random.mjs';
import { buildDir } from '../../support/stack.mjs';

const KEPT = [7];
const CASES = process.env.PENSTOCK_LONG ? 1_000_000 : 1_500;
const MOST_READINGS = 60;

const driver = spawn(path.join(buildDir(), 'tests/rating_driver'), [], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = readline.createInterface({ input: driver.stdout })[Symbol.asyncIterator]();
after(() => driver.stdin.end());

async function engine(tariff, readings) {
  const text = readings.map(({ at, value }) => `R ${at} ${value}\n`).join('');
  driver.stdin.write(`T ${JSON.stringify(tariff)}\n${text}.\n`);
  const { value, done } = await lines.next();
  assert.ok(!done, 'the engine ended');
  return value;
}

async function compare(seed) {
  const random = new Random(seed);
  const tariff = randomTariff(random);
  const readings = randomReadings(random, MOST_READINGS);
  const wanted = rateReadings(tariff, readings).join(' ');
  const got = await engine(tariff, readings);
  assert.equal(got, wanted, `seed ${seed}: ${JSON.stringify(tariff)}\n${readings.map(({ at, value }) => `${at} ${value}`).join('\n')}`);
}

test('cases that were once a mismatch', async () => {
  for (const seed of KEPT) await compare(seed);
});

test(`${CASES} random cases are charged alike, to the last unit`, async () => {
  const start = Number(process.env.PENSTOCK_SEED ?? 1);
  for (let seed = start; seed < start + CASES; seed++) await compare(seed);
});
