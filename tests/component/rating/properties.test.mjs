// What holds for any tariff and any usage, asked of the engine alone. Tariffs are drawn over the whole language and then cut
// down to what the property speaks of. That charges add up to the price of the final matrix, that the order of arrival does
// not matter and that a replay is equal to the bit is asked of each case in second.test.mjs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, test } from 'node:test';
import { isMonotone } from '../../second_rating/cases.mjs';
import { Engine } from '../../second_rating/compare.mjs';
import { Random, randomTariff } from '../../second_rating/random.mjs';
import { buildDir } from '../../support/stack.mjs';

const FIRST = Number(process.env.PENSTOCK_SEED ?? 1);
const ROUNDS = process.env.PENSTOCK_TEST_LONG ? 50_000 : 1_500;
const HOUR = 3_600_000;
const engine = new Engine(path.join(buildDir(), 'tests/rating_driver'));
after(() => engine.end());

const CLOSING = ['demand', 'minimum', 'power_factor'];
const without = (tariff, isOut) => {
  const gone = new Set(tariff.lines.filter(isOut).map(({ name }) => name));
  let lines = tariff.lines;
  // A line that builds on one that is gone goes too.
  for (let left = -1; left !== lines.length; ) {
    left = lines.length;
    lines = lines.filter((line) => !gone.has(line.name) && !line.of?.some((name) => gone.has(name)));
    for (const { name } of tariff.lines) if (!lines.some((line) => line.name === name)) gone.add(name);
  }
  return { ...tariff, lines };
};
const singlePrices = (line) => (line.kind === 'quantity' ? { ...line, prices: Object.fromEntries(Object.entries(line.prices).map(([key, price]) => [key, [price].flat()[0]])) } : line);
// A free quantity is an edge as well.
const untiered = ({ tiers, ...tariff }) => ({ ...tariff, lines: tariff.lines.map(({ free_quantity: _, ...line }) => singlePrices(line)) });
function onePeriod({ calendar, flagged_days: _, ...tariff }) {
  const [period] = tariff.periods;
  const only = (line) => (line.prices && !line.prices['*'] ? { ...line, prices: { [period]: line.prices[period] } } : line);
  return { ...tariff, periods: [period], lines: tariff.lines.map(only) };
}

async function charges(tariff, start, readings) {
  engine.write(`T ${JSON.stringify(tariff)}\nR ${start} 0\n${readings.join('\n')}\n.\n`);
  const got = await engine.answer();
  assert.ok(!got.startsWith('!'), `${got}: ${JSON.stringify(tariff)}`);
  return got === '' ? [] : got.split(' ').map(BigInt);
}
const sum = (list) => list.reduce((a, b) => a + b, 0n);

// [{ at, used: [per period] }], inside one month of every zone where `isShort`.
function draw(random, tariff, isShort) {
  const start = Date.UTC(2024, random.below(12), 3) + random.below(HOUR * 24);
  let at = start;
  const readings = Array.from({ length: 2 + random.below(40) }, () => {
    at += 1 + random.below(isShort ? 12 * HOUR : 120 * HOUR);
    return { at, used: tariff.periods.map(() => random.below(30_000)) };
  });
  return { start, readings };
}

function together(readings, isKept) {
  const kept = [];
  let used = null;
  readings.forEach((reading, i) => {
    used = used ? used.map((value, n) => value + reading.used[n]) : reading.used;
    if (i < readings.length - 1 && !isKept()) return;
    kept.push({ at: reading.at, used });
    used = null;
  });
  return kept;
}
const byPeriod = ({ at, used }) => `P ${at} ${used.join(',')}`;
function byTotal(readings) {
  let value = 0;
  return readings.map(({ at, used }) => `R ${at} ${(value += used.reduce((a, b) => a + b, 0))}`);
}

function property(name, check) {
  test(`${name} (${ROUNDS} tariffs from seed ${FIRST})`, async () => {
    for (let seed = FIRST; seed < FIRST + ROUNDS; seed++) {
      const random = new Random(seed);
      await check(random, randomTariff(random), `seed ${seed}`);
    }
  });
}

property('under one price the rhythm of reading does not matter', async (random, drawn, seed) => {
  const tariff = untiered(without(onePeriod(drawn), ({ kind }) => CLOSING.includes(kind)));
  const { start, readings } = draw(random, tariff, false);
  const often = await charges(tariff, start, byTotal(readings));
  const seldom = await charges(tariff, start, byTotal(together(readings, () => random.chance(0.3))));
  assert.equal(sum(seldom), sum(often), seed);
});

property('with per-period registers the rhythm of reading does not matter', async (random, drawn, seed) => {
  const tariff = untiered(without(drawn, ({ kind }) => CLOSING.includes(kind)));
  const { start, readings } = draw(random, tariff, false);
  const often = await charges(tariff, start, readings.map(byPeriod));
  const seldom = await charges(tariff, start, together(readings, () => random.chance(0.3)).map(byPeriod));
  assert.equal(sum(seldom), sum(often), seed);
});

// Prices by period alone, and on top a surcharge by tier of the total: it does not know the periods.
property('an additive surcharge does not depend on the period that crossed the edge', async (random, drawn, seed) => {
  const isPlain = (line) => line.kind === 'quantity' && !line.prices['*'];
  const cut = without(drawn, (line) => CLOSING.includes(line.kind) || Boolean(line.free_quantity));
  const tariff = { ...cut, lines: cut.lines.map((line) => (isPlain(line) ? singlePrices(line) : line)) };
  if (tariff.lines.length === 0 || (tariff.tiers?.prorate_opening ?? false)) return;
  const { start, readings } = draw(random, tariff, true);
  // What each period used comes in another order: the same whole, the same times.
  const turned = readings.map(({ at }, i) => ({ at, used: readings[(i + 1) % readings.length].used }));
  const wholeWindow = (list) => together(list, () => false).map(byPeriod);
  if (tariff.tiers?.over === 'season' || tariff.tiers?.billing_day) return; // readings may lie in two windows
  const order = await charges(tariff, start, readings.map(byPeriod));
  const other = await charges(tariff, start, turned.map(byPeriod));
  const once = await charges(tariff, start, wholeWindow(readings));
  assert.equal(sum(other), sum(order), seed);
  assert.equal(sum(once), sum(order), seed);
});

property('where every price is a price, no usage makes a bill smaller', async (random, drawn, seed) => {
  if (!isMonotone(drawn)) return;
  const { start, readings } = draw(random, drawn, false);
  const list = await charges(drawn, start, [`C ${random.below(9000)} ${random.below(9000)} 0`, ...byTotal(readings)]);
  assert.ok(list.every((amount) => amount >= 0n), `${seed}: ${list.join(' ')}`);
});
