// Balances as of one time and as known at another: usage counts when it ended, and from when it was booked on, also where
// it came late, was corrected or recharged.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { DAY, HOUR, Site, flatTariff, touTariff } from '../billing/site.mjs';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';

const YUAN = 1_000_000n;

let stack, site, point;
before(async () => {
  stack = await startStack({ exclusive: true });
  const billing = await stack.spawnService('billing');
  await billing.ready();
  site = await Site.make(stack, { code: 'balance', opened: Math.floor(Date.now() / HOUR) * HOUR - 4 * DAY, tariff: flatTariff('balance-t', '0.6') });
  point = await site.addPoint();
});
after(() => stack.stop());

const iso = (at) => new Date(at).toISOString();
const ask = async (...more) => {
  const { code, stdout, stderr } = await stack.ctl(['balance', '--company', 'balance', '--json', ...more]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).purses;
};
const balance = async (asOf, knownAt) => {
  const [purse, ...others] = await ask('--account', 'N1', ...(asOf ? ['--as-of', iso(asOf)] : []), ...(knownAt ? ['--known-at', iso(knownAt)] : []));
  assert.deepEqual(others, []);
  return purse.balance;
};
// A time between what was booked before and what comes: both sides of it are whole milliseconds away.
const moment = async () => {
  await sleep(5);
  const at = await stack.value("select date_trunc('milliseconds', clock_timestamp())");
  await sleep(5);
  return at.getTime();
};

test('usage counts from when it ended, and from when it was booked on', async () => {
  const start = await moment();
  await site.journal([site.next(point, 10_000), site.next(point, 10_000)]);
  await site.settled();
  const first = await moment();
  // A whole local day later, so that it is a charge of its own.
  await site.journal([site.next(point, 20_000, 2 * DAY)]);
  await site.settled();
  assert.equal(await balance(), '-24.00');
  assert.equal(BigInt(Math.round(Number(await balance()) * 1e6)), await site.balance(point));
  assert.equal(await balance(site.opened), '0.00');
  assert.equal(await balance(site.opened + 2 * HOUR - 1), '0.00');
  assert.equal(await balance(site.opened + 2 * HOUR), '-12.00');
  assert.equal(await balance(point.at - 1), '-12.00');
  assert.equal(await balance(point.at), '-24.00');
  assert.equal(await balance(undefined, first), '-12.00');
  assert.equal(await balance(undefined, start), '0.00');
});

test('a payment and its time', async () => {
  const before = await moment();
  const id = await stack.value('select billing.transfer_num(now())');
  // Straight into the ledger, as post_transfers writes it.
  await stack.query(
    `insert into billing.transfer (id, company_id, kind, debit_class, debit_item, credit_class, credit_item, debit_num, credit_num, amount_micro, source_num, booked_at, effective_at, currency)
     values ($1, $2, 2, 7, 0, 1, 0, $3, $4, 100000000, 0, now(), $5, 'CNY')`, [id, site.company, site.entity, point.purse, new Date(site.opened + HOUR)]);
  await stack.query('update billing.purse set balance_micro = balance_micro + 100000000 where num = $1', [point.purse]);
  assert.equal(await balance(), '76.00');
  assert.equal(await balance(site.opened + HOUR), '100.00');
  assert.equal(await balance(site.opened + HOUR - 1), '0.00');
  assert.equal(await balance(site.opened + 2 * HOUR), '88.00');
  assert.equal(await balance(undefined, before), '-24.00');
});

test('a recharge is known from its booking on, about the time of its usage', async () => {
  await site.publish(flatTariff('balance-t', '1'), new Date(site.opened));
  const before = await moment();
  const shown = JSON.parse((await stack.ctl(['recharge', '--company', 'balance', '--property', 'p1', '--from', iso(site.opened), '--json'])).stdout);
  assert.equal(shown.lines[0].difference, '16.00');
  assert.equal((await stack.ctl(['recharge', '--company', 'balance', '--property', 'p1', '--from', iso(site.opened), '--confirm', shown.hash])).code, 0);
  await waitFor(async () => (await stack.value('select count(*)::int from billing.recharge_item where done_at is null')) === 0, { what: 'the recharge' });
  assert.equal(await balance(), '60.00');
  assert.equal(await balance(undefined, before), '76.00');
  assert.equal(await balance(point.at), '60.00');
  assert.equal(await balance(point.at, before), '76.00');
  assert.equal(await balance(site.opened + HOUR), '100.00');
});

test('a late reading is known from its booking on', async () => {
  const late = await Site.make(stack, { code: 'balance-late', partition: 9, opened: Math.floor(Date.now() / DAY) * DAY - 4 * DAY - 8 * HOUR, tariff: touTariff('balance-tou') });
  const one = await late.addPoint();
  // From midnight to noon by time: 8 hours of valley, 4 of peak.
  await late.journal([late.next(one, 12_000, 12 * HOUR)]);
  await late.settled();
  const value = async (knownAt) => (await stack.ctl(['balance', '--company', 'balance-late', '--account', 'N1', '--json', ...(knownAt ? ['--known-at', iso(knownAt)] : [])])).stdout;
  const charged = JSON.parse(await value()).purses[0].balance;
  assert.equal(charged, '-6.44');
  const before = await moment();
  await late.journal([late.reading(one, late.opened + 8 * HOUR, 1_000n, { flags: 2 })]);
  await late.settled();
  await late.quiet();
  assert.equal(JSON.parse(await value()).purses[0].balance, '-11.62');
  assert.equal(JSON.parse(await value(before)).purses[0].balance, charged);
});

test('one purse, a table, and what breaks a rule', async () => {
  const purse = await stack.value('select id from core.purse where num = $1', [point.purse]);
  assert.equal((await ask('--purse', purse))[0].balance, '60.00');
  const account = await stack.value('select id from core.account where num = $1', [point.account]);
  assert.equal((await ask('--account', account))[0].id, purse);
  const { stdout } = await stack.ctl(['balance', '--company', 'balance', '--account', 'N1']);
  assert.match(stdout, /^p1 {2}N1 {2}electricity {3,}60\.00 CNY\n$/);
  for (const [args, reason] of [
    [[], /--account/], [['--account', 'N1', '--purse', purse], /one of/], [['--account', 'nobody'], /no account 'nobody'/], [['--purse', 'x'], /is no id/],
    [['--purse', randomUUID()], /no purse/], [['--account', 'N1', '--as-of', 'noon'], /--as-of/], [['--account', 'N1', '--known-at', '2026-01-01'], /--known-at/],
  ]) {
    const { code, stderr } = await stack.ctl(['balance', '--company', 'balance', ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, reason);
  }
});

test('whatever the times, the parts add up: seeded questions against the ledger', async () => {
  const seed = Number(process.env.PENSTOCK_TEST_SEED ?? Date.now() % 1_000_000);
  console.log(`# seed ${seed}`);
  let state = seed;
  const random = (below) => { state = (state * 48271 + 11) % 2147483647; return state % below; };
  const { rows } = await stack.query(
    `select extract(epoch from booked_at)::float8 * 1000 as booked, extract(epoch from effective_at)::float8 * 1000 as effective,
            case when credit_class = 1 and credit_num = $1 then amount_micro else -amount_micro end as amount
     from billing.transfer where (credit_class = 1 and credit_num = $1) or (debit_class = 1 and debit_num = $1)`, [point.purse]);
  assert.ok(rows.length >= 4);
  const times = rows.flatMap((r) => [r.booked, r.effective]).map(Math.round);
  for (let i = 0; i < 20; i++) {
    const asOf = times[random(times.length)] + random(3) - 1;
    const knownAt = times[random(times.length)] + random(3) - 1;
    const expected = rows.filter((r) => r.effective <= asOf && r.booked <= knownAt).reduce((sum, r) => sum + r.amount, 0n);
    assert.equal(BigInt(Math.round(Number(await balance(asOf, knownAt)) * 1e6)), expected, `seed ${seed}: as of ${iso(asOf)}, known at ${iso(knownAt)}`);
  }
});
