// The engine against a second implementation: random tariffs × random usage × random rhythms × changes of version, holder
// and registers, each charge equal to the last unit; given usages, and what money buys. A failing case prints its seed;
// put the seed into KEPT, so that it stays a case for ever.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { after, test } from 'node:test';
import { Account, quote } from '../../second_rating/model.mjs';
import { Random, randomCase, randomUsage } from '../../second_rating/random.mjs';
import { buildDir } from '../../support/stack.mjs';

const KEPT = [7];
const CASES = Number(process.env.PENSTOCK_CASES ?? (process.env.PENSTOCK_LONG ? 1_000_000 : 10_000));
const AT_ONCE = 40; // cases on their way to the engine
const TOO_OFTEN = '! rating: a volume tariff changed too often inside its tier window';
const NOTHING_KNOWN = { demand: 0, contracted: 0, factor: 0 };

const driver = spawn(path.join(buildDir(), 'tests/rating_driver'), [], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = readline.createInterface({ input: driver.stdout })[Symbol.asyncIterator]();
after(() => driver.stdin.end());

async function answer() {
  const { value, done } = await lines.next();
  assert.ok(!done, 'the engine ended');
  return value;
}

// The case as the engine reads it, and what the model says to it.
function written(events, usage) {
  const account = new Account();
  const wanted = [];
  let holder = { heads: 0, openedAt: 0 };
  let closing = NOTHING_KNOWN;
  let value = 0n;
  let text = `T ${JSON.stringify(events[0].tariff)}\nR ${events[0].at} 0\n`;
  for (let i = 1; i < events.length; i++) {
    const event = events[i];
    if (event.tariff !== events[i - 1].tariff) text += `V ${JSON.stringify(event.tariff)}\n`;
    if (event.holder) text += `H ${(holder = event.holder).heads} ${holder.openedAt}\n`;
    if (event.closing) text += `C ${(closing = event.closing).demand} ${closing.contracted} ${Math.round(closing.factor * 1e6)}\n`;
    text += event.perPeriod ? `P ${event.at} ${event.perPeriod.join(',')}\n` : `R ${event.at} ${(value += event.quantity)}\n`;
    const interval = { from: events[i - 1].at, to: event.at, quantity: event.quantity, perPeriod: event.perPeriod, holder, closing };
    wanted.push(account.charge(event.tariff, interval));
  }
  const { tariff } = events.at(-1);
  text += `Q ${usage.from} ${usage.to} ${usage.quantities.join(',')} ${usage.before.join(',')}\n`;
  wanted.push(quote(tariff, { ...usage, holder, closing }));
  if (tariff.periods.length === 1) text += `B ${usage.from} ${usage.to} ${usage.amount} ${usage.before[0]}\n`;
  return { text, wanted: wanted.join(' '), bought: (quantity) => quote(tariff, { ...usage, quantities: [quantity], holder, closing }) };
}

function isMonotone({ tiers, lines: all }) {
  return tiers?.kind !== 'volume' && all.every((line) => line.kind !== 'power_factor' && !line.rate?.startsWith('-'));
}

const stepOf = (tariff) => {
  const scales = tariff.lines.filter((line) => line.quantity_rounding).map((line) => line.quantity_rounding.scale);
  return 10n ** BigInt(3 - (scales.length ? Math.max(...scales) : 1));
};

function checkBought(tariff, quantity, amount, priceOf, say) {
  const step = stepOf(tariff);
  if (quantity === -2n) return;
  if (quantity >= 0n) assert.ok(priceOf(quantity) <= amount, `${quantity} is not paid: ${say()}`);
  assert.ok(quantity % step === 0n || quantity === -1n, say());
  if (isMonotone(tariff)) assert.ok(priceOf(quantity < 0n ? 0n : quantity + step) > amount, `more than ${quantity} is paid: ${say()}`);
}

function drawn(seed) {
  const random = new Random(seed);
  const events = randomCase(random, random.chance(0.04) ? 200 : 40);
  const usage = randomUsage(random, events.at(-1).tariff);
  return { seed, events, usage, ...written(events, usage) };
}

function compare({ seed, events, usage, text, wanted, bought }, got) {
  const { tariff } = events.at(-1);
  // The engine remembers what up to twelve edges of volume tiers come to; more only a random case has.
  if (got === TOO_OFTEN && events.filter((event) => event.tariff.tiers?.kind === 'volume').length > 1) return;
  const say = () => `seed ${seed}:\n${text}`;
  if (tariff.periods.length === 1 && !got.startsWith('!')) {
    const at = got.lastIndexOf(' ');
    checkBought(tariff, BigInt(got.slice(at + 1)), usage.amount, bought, say);
    got = got.slice(0, at);
  }
  assert.equal(got, wanted, say());
}

async function compareAll(seeds) {
  const cases = seeds.map(drawn);
  driver.stdin.write(cases.map(({ text }) => `${text}.\n`).join(''));
  for (const one of cases) compare(one, await answer());
}

test('cases that were once a mismatch', () => compareAll(KEPT));

test(`${CASES} random cases are charged alike, to the last unit`, async () => {
  const start = Number(process.env.PENSTOCK_SEED ?? 1);
  for (let seed = start; seed < start + CASES; seed += AT_ONCE) {
    await compareAll(Array.from({ length: Math.min(AT_ONCE, start + CASES - seed) }, (_, i) => seed + i));
  }
});
