// Lines that post at the close of a tier window, and gaps of readings: posted once whatever happens, corrected by late
// readings, and charged again to the same amounts by ledger verify.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { DAY, HOUR, Site, flatTariff, touTariff, violations } from './site.mjs';

const REACTIVE = 7;
const MAX_DEMAND = 8;
const SHANGHAI = 8 * HOUR;

let stack;
let billing;
let siteCount = 0;
before(async () => {
  stack = await startStack({ exclusive: true });
  billing = await stack.spawnService('billing', { PENSTOCK_BILLING_CLOSE_GRACE_MIN: '14400' });
  await billing.ready();
});
after(() => stack.stop());

// The end of a billing period a few days ago: local midnight of a day from the 1st to the 28th.
const END = (() => {
  let day = Math.floor((Date.now() + SHANGHAI) / DAY) - 4;
  while (new Date(day * DAY).getUTCDate() > 28) day--;
  return day * DAY - SHANGHAI;
})();
const BILLING_DAY = new Date(END + SHANGHAI).getUTCDate();

// Energy at 1.00; demand 10.00 per kW, capacity 1.00 per kVA, 5 % where the power factor is below 0.9, at least 100.00.
const closing = (code, lines = ['demand', 'capacity', 'factor', 'least']) => ({
  ...flatTariff(code, '1'),
  tiers: { over: 'billing_period', billing_day: BILLING_DAY, kind: 'graduated', upper: ['1000'] },
  lines: [
    { name: 'energy', kind: 'quantity', prices: { flat: ['1'] } },
    ...[
      { name: 'demand', kind: 'demand', price: '10', basis: 'max_demand_kw' },
      { name: 'capacity', kind: 'demand', price: '1', basis: 'contracted_kva' },
      { name: 'factor', kind: 'power_factor', of: ['energy'], table: [{ from: '0', rate: '0.05' }, { from: '0.9', rate: '0' }] },
      { name: 'least', kind: 'minimum', of: ['energy'], amount: '100' },
    ].filter((line) => lines.includes(line.name)),
  ],
});

async function makeSite(tariff, hoursBefore = 10) {
  const code = `close-${++siteCount}`;
  return Site.make(stack, { code, partition: (siteCount * 11) % 64, opened: END - hoursBefore * HOUR, tariff: typeof tariff === 'function' ? tariff(code) : tariff });
}

const closes = async (point) => (await stack.query(
  `select c.id, c.kind, c.amount_micro as amount, c.corrects, t.kind as transfer, c.from_at, c.to_at from billing.charge c left join billing.transfer t on t.id = c.id
   where c.usage_point_num = $1 and c.cause = 3 order by c.id`, [point.num])).rows;
const usage = (point) => stack.value('select coalesce(sum(amount_micro), 0)::bigint from billing.charge where usage_point_num = $1 and cause <> 3', [point.num]);
const closed = (count) => waitFor(async () => (await stack.value('select count(*)::int from billing.window_close where closed_at is not null')) >= count, { what: `${count} windows closed` });
const nothingDue = () => waitFor(async () => (await stack.value('select count(*)::int from billing.window_close where requested_at is not null')) === 0, { what: 'no close is due' });

async function sound() {
  assert.deepEqual(await violations(stack), []);
  const { code, stdout, stderr } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

// Explains a charge; the amounts inside must add up to it.
async function explain(id) {
  const { code, stdout, stderr } = await stack.ctl(['charge', 'explain', String(id), '--json']);
  assert.equal(code, 0, stderr);
  const why = JSON.parse(stdout);
  const micro = (text) => BigInt(Math.round(Number(text) * 1e6));
  assert.equal(micro(why.total) - micro(why.already_charged), micro(why.charge.amount));
  return why;
}
const newest = (point) => stack.value('select id from billing.charge where usage_point_num = $1 order by id desc limit 1', [point.num]);

let told = 0;

test('a window is closed once, when a reading at or after its end has come', async () => {
  const site = await makeSite((code) => closing(code));
  const point = await site.addPoint();
  await stack.query('update core.usage_point_account set contracted_va = 30000 where company_id = $1 and usage_point_num = $2', [site.company, point.num]);
  for (let hour = 1; hour <= 9; hour++) await site.journal([site.next(point, hour === 5 ? 8000 : 1000)]); // one hour of 8 kW
  await site.settled();
  assert.deepEqual(await closes(point), []);
  assert.equal(await stack.value('select count(*)::int from billing.window_close where usage_point_num = $1 and closed_at is null', [point.num]), 1);
  await site.journal([site.next(point, 1000)]); // at the end itself
  await site.settled();
  await closed(++told);
  // 17 kWh: 17.00, up to 100.00; 8 kW: 80.00; 30 kVA: 30.00; no reactive energy was read: no adjustment.
  const rows = await closes(point);
  assert.equal(rows.length, 1);
  assert.equal(rows[0].amount, 83_000_000n + 80_000_000n + 30_000_000n);
  assert.deepEqual([rows[0].kind, rows[0].transfer, rows[0].corrects], [2, 1, null]);
  assert.equal(rows[0].to_at.getTime(), END);
  assert.equal(await usage(point), 17_000_000n);
  const why = await explain(rows[0].id);
  assert.equal(why.charge.cause, 'window_close');
  assert.equal(why.readings, null);
  assert.deepEqual(why.closing, { demand_source: 'readings', max_demand_kw: '8', contracted_kva: '30', active_kwh: '0', reactive_kvarh: '0', power_factor: null });
  assert.deepEqual(why.lines.map((line) => [line.name, line.amount]), [['energy', '0'], ['demand', '80'], ['capacity', '30'], ['least', '83']]);
  assert.ok(why.sentences.some((s) => s.includes('Reactive energy was not read')));
  for (let hour = 0; hour < 3; hour++) await site.journal([site.next(point, 1000)]);
  await site.settled();
  await sleep(1500);
  assert.equal((await closes(point)).length, 1);
  assert.equal(await site.balance(point), -(17_000_000n + 193_000_000n + 3_000_000n));
  assert.match(await sound(), /closing tier windows again comes to the same +1 +ok/);
});

test('a late reading that changes how the window ended corrects its close', async () => {
  const site = await makeSite((code) => closing(code, ['demand']));
  const point = await site.addPoint();
  await site.journal([site.next(point, 4000, 4 * HOUR), site.next(point, 12000, 4 * HOUR), site.next(point, 2000, 4 * HOUR)]);
  await site.settled();
  await closed(++told);
  assert.deepEqual((await closes(point)).map((r) => r.amount), [30_000_000n]); // 12 kWh in four hours
  // Of the twelve, ten were used in the first hour.
  await site.journal([site.reading(point, END - 5 * HOUR, 14_000n)]);
  await site.settled();
  await site.quiet();
  await waitFor(async () => (await closes(point)).length === 2, { what: 'the correction of the close' });
  const rows = await closes(point);
  assert.deepEqual(rows.map((r) => [r.kind, r.transfer, r.amount]), [[2, 1, 30_000_000n], [1, 9, 70_000_000n]]);
  assert.equal(rows[1].corrects, rows[0].id);
  assert.equal((await explain(rows[1].id)).closing.max_demand_kw, '10');
  const superseded = await stack.ctl(['charge', 'explain', String(rows[0].id)]);
  assert.equal(superseded.code, 1);
  assert.match(superseded.stderr, /a correction follows it/);
  assert.equal(await usage(point), 18_000_000n);
  // The same again changes nothing.
  await site.journal([site.reading(point, END - 5 * HOUR, 14_000n)]);
  await site.settled();
  await site.quiet();
  await nothingDue();
  assert.equal((await closes(point)).length, 2);
  await sound();
});

test('reactive energy and the meter\'s own maximum demand count where they are read', async () => {
  const site = await makeSite((code) => closing(code, ['demand', 'factor']));
  const point = await site.addPoint();
  let reactive = 0;
  const poll = (wh, varh, demandW) => {
    const total = site.next(point, wh);
    reactive += varh;
    return [total, site.reading(point, point.at, BigInt(reactive), { register: REACTIVE }), site.reading(point, point.at, BigInt(demandW) * 1000n, { register: MAX_DEMAND })];
  };
  await site.journal(poll(1000, 0, 1200));
  for (let hour = 2; hour <= 11; hour++) await site.journal(poll(4000, 3000, hour < 6 ? 6500 : 9250)); // 4 and 3: 0.8
  await site.settled();
  await closed(++told);
  const [row] = await closes(point);
  assert.equal(row.amount, 92_500_000n + 1_850_000n); // 9.25 kW; 5 % of 37.00
  assert.equal(await stack.value('select count(*)::int from billing.quarantine where channel_num = $1', [point.channel]), 0);
  await sound();
});

test('without a reading the window closes when its grace is over; what comes later corrects it', async () => {
  const site = await makeSite((code) => closing(code, ['least']));
  const point = await site.addPoint();
  const left = await site.addPoint();
  await site.journal([site.next(point, 20_000), site.next(left, 20_000)]);
  await site.settled();
  await site.hold(left, new Date(END - 2 * HOUR)); // its first account is not there when the window ends
  await sleep(1500);
  assert.deepEqual(await closes(point), []);
  await billing.stop();
  billing = await stack.spawnService('billing', { PENSTOCK_BILLING_CLOSE_GRACE_MIN: '0' });
  await billing.ready();
  await waitFor(async () => (await closes(point)).length === 1, { what: 'the window closed without a reading' });
  assert.equal((await closes(point))[0].amount, 80_000_000n);
  await sound();
  await site.journal([site.next(point, 19_000, 19 * HOUR)]); // nine hours of it before the end
  await site.settled();
  await waitFor(async () => (await closes(point)).length === 2, { what: 'the close corrected' });
  assert.equal((await closes(point))[1].amount, -9_000_000n);
  assert.equal(await usage(point), 39_000_000n);
  await sound();
  told = await stack.value('select count(*)::int from billing.window_close where closed_at is not null');
});

for (const where of ['billing.close.before_commit', 'billing.close.after_commit']) {
  test(`killed at ${where}: closed once by whoever comes next`, async () => {
    await billing.stop();
    const site = await makeSite((code) => closing(code, ['demand', 'least']));
    const points = await site.addPoints(5);
    const doomed = await stack.spawnService('billing', { PENSTOCK_CRASH_POINT: `${where}:1` });
    await doomed.ready();
    await site.journal(points.map((p) => site.next(p, 3000)));
    await site.journal(points.map((p) => site.next(p, 9000, 9 * HOUR)));
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
    billing = await stack.spawnService('billing', { PENSTOCK_BILLING_CLOSE_GRACE_MIN: '14400' });
    await billing.ready();
    await site.settled();
    await closed(told += 5);
    await nothingDue();
    for (const point of points) assert.deepEqual((await closes(point)).map((r) => r.amount), [118_000_000n]);
    await sound();
  });
}

test('a close that cannot be posted waits alone', async () => {
  const site = await makeSite((code) => closing(code, ['least']));
  const points = await site.addPoints(3);
  await site.journal(points.map((p) => site.next(p, 1000)));
  await site.settled();
  const poison = points[1];
  const balance = await site.balance(poison);
  await stack.query('update billing.purse set balance_micro = -9223372036854770000 where num = $1', [poison.purse]);
  await site.journal(points.map((p) => site.next(p, 0, 9 * HOUR)));
  await site.settled();
  await waitFor(async () => (await closes(points[0])).length === 1 && (await closes(points[2])).length === 1, { what: 'the others closed' });
  assert.deepEqual(await closes(poison), []);
  await waitFor(async () => (await stack.value('select attempts from billing.window_close where usage_point_num = $1 and requested_at is not null', [poison.num])) > 0, { what: 'the attempt is counted' });
  assert.match(await stack.value('select failed from billing.window_close where usage_point_num = $1 and requested_at is not null', [poison.num]), /out of range/);
  await stack.query('update billing.purse set balance_micro = $2 where num = $1', [poison.purse, balance]);
  await stack.query('update billing.window_close set requested_at = requested_at - $2::interval where usage_point_num = $1', [poison.num, '1 hour']);
  await waitFor(async () => (await closes(poison)).length === 1, { what: 'it is closed in the end' });
  assert.equal((await closes(poison))[0].amount, 99_000_000n);
  await sound();
  told = await stack.value('select count(*)::int from billing.window_close where closed_at is not null');
});

test('what-if closes windows under the tried tariff as well', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.journal([site.next(point, 6000), site.next(point, 18_000, 9 * HOUR), site.next(point, 1000)]);
  await site.settled();
  const file = path.join(stack.dir, 'tried.json');
  await writeFile(file, JSON.stringify(closing('tried', ['demand', 'least'])));
  const span = ['--from', new Date(site.opened).toISOString(), '--to', new Date(END + HOUR).toISOString()];
  const { code, stdout, stderr } = await stack.ctl(['simulate', '--tariff', file, '--company', `close-${siteCount}`, '--property', 'p1', ...span, '--format', 'json']);
  assert.equal(code, 0, stderr);
  const { accounts } = JSON.parse(stdout);
  assert.equal(accounts.length, 1);
  assert.equal(Number(accounts[0].now), 15); // 25 kWh at 0.60
  assert.equal(Number(accounts[0].then), 25 + 60 + 76); // 6 kW; 24.00 up to 100.00
});

// ---- gaps ----

const estimated = (point) => stack.value('select estimated_since from billing.point where num = $1', [point.num]);

// Two weeks of an office: all of a day's use between 09:00 and 11:00.
async function officeWeeks(site, point, days) {
  const records = [];
  for (let hour = 0; hour < days * 24; hour++) {
    const local = new Date(point.at + SHANGHAI).getUTCHours();
    records.push(site.next(point, local === 9 || local === 10 ? 5000 : 0));
  }
  await site.journal(records);
  await site.settled();
}

test('a gap is charged by the readings at its ends, spread as the point usually uses, and marked', async () => {
  const start = Math.floor((Date.now() + SHANGHAI) / DAY) * DAY - SHANGHAI - 12 * DAY;
  const site = await Site.make(stack, { code: `close-${++siteCount}`, partition: 40, opened: start, tariff: touTariff(`close-${siteCount}`) });
  const point = await site.addPoint();
  await officeWeeks(site, point, 9);
  await waitFor(async () => (await stack.value('select count(*)::int from billing.day where usage_point_num = $1', [point.num])) >= 8, { what: 'days packed', within_ms: 30_000 });
  const before = (await site.charged(point)).amount;
  assert.equal(await estimated(point), null);
  await site.journal([site.next(point, 10_000, 24 * HOUR)]);
  await site.settled();
  // All of it at the peak price, where time alone would have said six parts in 24.
  assert.equal((await site.charged(point)).amount - before, 10_300_000n);
  const { rows } = await stack.query('select cause, from_at, to_at, quantity from billing.charge where usage_point_num = $1 order by id desc limit 1', [point.num]);
  assert.equal(rows[0].cause, 4);
  assert.equal(rows[0].quantity, 10_000n);
  assert.equal((await estimated(point)).getTime(), rows[0].from_at.getTime());
  assert.equal(await stack.value('select count(*)::int from billing.gap where usage_point_num = $1 and length(profile) > 0', [point.num]), 1);
  await sound();
  const why = await explain(await newest(point));
  assert.equal(why.charge.estimated, true);
  assert.equal(why.charge.cause, 'reading');
  assert.ok(why.sentences.some((s) => s.startsWith('Estimated: no readings came from') && s.includes('usually uses')));
  await site.journal([site.next(point, 100)]);
  await site.settled();
  assert.equal(await estimated(point), null);
  // A late reading inside: before it nothing was used, the rest stays a gap.
  const middle = point.at - HOUR - 12 * HOUR;
  await site.journal([site.reading(point, middle, BigInt(point.value) - 100n - 10_000n + 9_000n)]);
  await site.settled();
  await site.quiet();
  await sound();
});

test('without history time spreads a gap, and it is marked all the same', async () => {
  const site = await Site.make(stack, { code: `close-${++siteCount}`, partition: 41, tariff: touTariff(`close-${siteCount}`) });
  const points = await site.addPoints(3);
  await site.journal(points.map((p) => site.next(p, 1000)));
  // Two gaps of one point in one batch, and ordinary readings of another.
  await site.journal([site.next(points[0], 5000, 5 * HOUR), site.next(points[0], 6000, 6 * HOUR), site.next(points[1], 1000), site.next(points[1], 1000), site.next(points[2], 7000, 7 * HOUR)]);
  await site.settled();
  const { rows } = await stack.query('select usage_point_num as num, count(*)::int as gaps, max(length(profile))::int as bytes from billing.gap where company_id = $1 group by 1 order by 1', [site.company]);
  assert.deepEqual(rows.map((r) => [r.num, r.gaps, r.bytes]), [[points[0].num, 2, 0], [points[2].num, 1, 0]]);
  assert.equal(await estimated(points[1]), null);
  assert.notEqual(await estimated(points[2]), null);
  assert.equal((await site.charged(points[0])).quantity, 12_000n);
  await sound();
});

test('a gap beside data that cannot be posted is described once', async () => {
  const site = await Site.make(stack, { code: `close-${++siteCount}`, partition: 42, tariff: touTariff(`close-${siteCount}`) });
  const points = await site.addPoints(4);
  await site.journal(points.map((p) => site.next(p, 1000)));
  await site.settled();
  const poison = points[2];
  const balance = await site.balance(poison);
  await stack.query('update billing.purse set balance_micro = -9223372036854775000 where num = $1', [poison.purse]);
  await site.journal(points.map((p) => site.next(p, 9000, 9 * HOUR)));
  await site.settled();
  const gaps = async () => (await stack.query('select usage_point_num as num from billing.gap where company_id = $1 order by 1', [site.company])).rows.map((r) => r.num);
  assert.deepEqual(await gaps(), points.filter((p) => p !== poison).map((p) => p.num));
  await stack.query('update billing.purse set balance_micro = $2 where num = $1', [poison.purse, balance]);
  await stack.query('update core.company set name = name where company_id = $1', [site.company]);
  await waitFor(async () => (await site.charged(poison)).quantity === 10_000n, { what: 'catching up' });
  assert.equal(await estimated(poison), null); // what waited is not missing
  await sound();
});

// ---- heads ----

test('a change of heads takes effect with the next window, live and in verify', async () => {
  const perHead = (code) => ({
    ...flatTariff(code, '1'),
    tiers: { over: 'billing_period', billing_day: BILLING_DAY, kind: 'graduated', upper: [{ base: '10', per_head: '5', heads_above: 1 }] },
    lines: [{ name: 'energy', kind: 'quantity', prices: { flat: ['1', '2'] } }],
  });
  const site = await makeSite(perHead);
  const point = await site.addPoint();
  await stack.query('insert into core.agreement_heads (company_id, agreement_num, from_at, heads) values ($1, $2, $3, 3)', [site.company, site.agreement, new Date(END - 5 * HOUR)]);
  await site.journal([site.next(point, 12_000, 9 * HOUR), site.next(point, 0)]); // 10 at 1.00, 2 at 2.00
  await site.settled();
  assert.equal(await usage(point), 14_000_000n);
  await site.journal([site.next(point, 21_000)]); // 20 at 1.00, 1 at 2.00
  await site.settled();
  assert.equal(await usage(point), 14_000_000n + 22_000_000n);
  assert.equal((await explain(await newest(point))).charge.amount, '22.00');
  await sound();
});
