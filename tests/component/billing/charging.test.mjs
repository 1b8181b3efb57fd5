// What billing makes of journaled readings, on real servers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { DAY, FLAG_BACKFILL, HOUR, Site, flatPrice, flatTariff, tieredTariff, touTariff, violations } from './site.mjs';

let stack;
let billing;
before(async () => {
  stack = await startStack();
  billing = await stack.spawnService('billing');
  await billing.ready();
});
after(() => stack.stop());

let siteCount = 0;
const makeSite = (options) => Site.make(stack, { code: `site-${++siteCount}`, partition: siteCount % 64, ...options });
const sound = async () => assert.deepEqual(await violations(stack), []);

test('readings are charged to the last unit, once', async () => {
  const site = await makeSite();
  const points = await site.addPoints(30);
  for (let round = 0; round < 5; round++) {
    await site.journal(points.map((point, i) => site.next(point, 137 * i + round * 11)));
    await site.settled();
  }
  for (const [i, point] of points.entries()) {
    const wh = BigInt(5 * 137 * i + 110);
    const { amount, quantity } = await site.charged(point);
    assert.equal(quantity, wh);
    assert.equal(amount, flatPrice(wh, 600_000n), `point ${i}`);
    assert.equal(await site.balance(point), -amount);
  }
  await sound();
});

test('one transaction makes one charge and one transfer of a point and day', async () => {
  const site = await makeSite({ opened: Date.parse('2026-10-05T00:00:00+08:00') });
  const point = await site.addPoint();
  await site.journal(Array.from({ length: 8 }, () => site.next(point, 1000, HOUR)));
  await site.settled();
  const { count, quantity } = await site.charged(point);
  assert.equal(quantity, 8000n);
  assert.equal(count, 1);
  await site.journal(Array.from({ length: 30 }, () => site.next(point, 1000, HOUR)));
  await site.settled();
  assert.equal((await site.charged(point)).count, 3); // up to midnight, and the day behind it
  await sound();
});

test('a block read twice and a reading sent twice change nothing', async () => {
  const site = await makeSite();
  const [a, b] = await site.addPoints(2);
  const records = [site.next(a, 500), site.next(a, 500), site.next(b, 700)];
  await site.journal(records);
  await site.settled();
  const first = await site.charged(a);
  await site.journal(records); // the gateway sent everything again
  await site.settled();
  assert.deepEqual(await site.charged(a), first);
  assert.equal(await stack.value('select count(*)::int from billing.reading where channel_num = $1', [a.channel]), 2);
  await sound();
});

test('what fails is set aside with its reason and never charged', async () => {
  const site = await makeSite();
  const point = await site.addPoint({ opening: 5_000_000n });
  point.value = 5_000_000n;
  await site.journal([site.next(point, 1000)]);
  await site.settled();
  const good = await site.charged(point);
  const cases = [
    [site.reading(point, point.at + HOUR, point.value + 10n ** 8n), 'implausible'],
    [site.reading(point, point.at + HOUR, point.value - 500_000n), 'backward'],
    [site.reading(point, point.at, point.value + 10n), 'conflict'],
    [site.reading(point, point.at + HOUR, -5n), 'out_of_range'],
    [site.reading(point, point.at + HOUR, point.value + 5n, { quality: 6 }), 'suspect'],
    [site.reading({ channel: 999_999_999n }, point.at + HOUR, 5n), 'not_installed'],
  ];
  for (const [record, reason] of cases) {
    await site.journal([record]);
    await site.settled();
    assert.equal(await stack.value('select reason from billing.quarantine where channel_num = $1 order by id desc limit 1', [record.channel]), reason);
  }
  assert.deepEqual(await site.charged(point), good);
  assert.ok((await stack.value("select count(*)::int from billing.outbox where type = 'reading_quarantined' and company_id = $1", [site.company])) >= cases.length);
  await site.journal([site.next(point, 300)]); // and it goes on
  await site.settled();
  assert.equal((await site.charged(point)).quantity, 1300n);
  await sound();
});

test('a counter that passes its end goes on in the next epoch', async () => {
  const site = await makeSite();
  const point = await site.addPoint({ opening: 999_999_000n });
  point.value = 999_999_000n;
  await site.journal([site.next(point, 500)]);
  point.value -= 10n ** 9n;
  await site.journal([site.next(point, 1500)]);
  await site.settled();
  assert.equal((await site.charged(point)).quantity, 2000n);
  assert.equal(await stack.value('select epoch from billing.point where num = $1', [point.num]), 1);
  await sound();
});

test('a replaced meter continues the position; ratios multiply', async () => {
  const site = await makeSite();
  const point = await site.addPoint({ ratio: [30, 1] });
  await site.journal([site.next(point, 100)]);
  await site.settled();
  assert.equal((await site.charged(point)).quantity, 3000n);
  const at = new Date(point.at + HOUR);
  await stack.query('update core.channel_installation set to_at = $2, closing_value = 150 where company_id = $3 and channel_num = $1', [point.channel, at, site.company]);
  const fresh = await site.addMeter(7000n, at, { ratio: [30, 1] });
  await stack.query('insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value) values ($1, $2, $3, $4, 7000)', [site.company, fresh, point.num, at]);
  await site.journal([site.reading({ channel: fresh }, point.at + 2 * HOUR, 7010n)]);
  await site.settled();
  assert.equal((await site.charged(point)).quantity, 30n * (150n + 10n));
  await sound();
});

test('periods and tiers: the sum of charges is the price of the whole', async () => {
  const site = await makeSite({ opened: Date.parse('2026-10-31T12:00:00+08:00'), tariff: null });
  await site.assign(await site.publish(tieredTariff('tiers', ['100', '200'], ['0.5', '0.6', '0.9'])));
  const tiered = await site.addPoint();
  const tou = await site.addPoint();
  await site.assign(await site.publish(touTariff('tou')), tou.num);
  // 12 h of October at 1 kWh an hour, then 300 kWh of November.
  for (let i = 0; i < 12; i++) await site.journal([site.next(tiered, 1000), site.next(tou, 1000)]);
  for (let i = 0; i < 10; i++) await site.journal([site.next(tiered, 30_000)]);
  await site.settled();
  // October: 12 × 0.5; November: 100 × 0.5 + 100 × 0.6 + 100 × 0.9.
  assert.equal((await site.charged(tiered)).amount, 6_000_000n + 200_000_000n);
  // 12:00–22:00 flat 10 × 0.61, 22:00–24:00 valley 2 × 0.29.
  assert.equal((await site.charged(tou)).amount, 6_680_000n);
  await sound();
});

test('a late reading replays its window and posts the difference', async () => {
  const opened = Date.parse('2026-11-10T00:00:00+08:00');
  const site = await makeSite({ opened, tariff: touTariff('tou-late') });
  const [late, never] = await site.addPoints(2);
  const at = (hour) => opened + hour * HOUR;
  // 24 kWh over a day: split by time, 4 h peak, 10 h flat, 10 h valley.
  await site.journal([site.reading(late, at(24), 24_000n), site.reading(never, at(24), 24_000n)]);
  await site.settled();
  const even = 4n * 1_030_000n + 10n * 610_000n + 10n * 290_000n;
  assert.equal((await site.charged(late)).amount, even);
  // In truth all of it was used before 08:00.
  await site.journal([site.reading(late, at(8), 24_000n)]);
  await site.settled();
  await site.quiet();
  assert.equal((await site.charged(late)).amount, 24n * 290_000n);
  assert.equal((await site.charged(late)).quantity, 24_000n);
  assert.equal(await site.balance(late), -24n * 290_000n);
  const { rows } = await stack.query('select c.kind, c.corrects, t.kind as transfer_kind, t.credit_class from billing.charge c join billing.transfer t on t.id = c.id where c.usage_point_num = $1 and c.kind = 1', [late.num]);
  assert.equal(rows.length, 1);
  assert.ok(rows[0].corrects > 0n);
  assert.equal(rows[0].transfer_kind, 9);
  assert.equal(rows[0].credit_class, 1); // money came back
  assert.equal((await site.charged(never)).amount, even);
  // The same again, and one that contradicts its neighbours.
  await site.journal([site.reading(late, at(8), 24_000n), site.reading(late, at(4), 30_000n), site.reading(late, at(8), 23_000n)]);
  await site.settled();
  await site.quiet();
  assert.equal((await site.charged(late)).amount, 24n * 290_000n);
  assert.deepEqual((await stack.query('select reason from billing.quarantine where channel_num = $1 order by read_at', [late.channel])).rows.map((r) => r.reason).sort(), ['backward', 'conflict']);
  // It goes on from where it stands.
  late.at = at(24);
  late.value = 24_000n;
  await site.journal([site.next(late, 1000)]);
  await site.settled();
  assert.equal((await site.charged(late)).quantity, 25_000n);
  await sound();
});

test('levels follow the balance and are told once; history tells no alarm', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  const sell = (key, micro) => stack.query(
    `with c as (select set_config('app.company', ($1::integer)::text, true))
     select billing.post_transfers($1::integer, 'test', $2, now(), array[row($3::bigint, 2, 7, $4::bigint, 0, 1, $5::bigint, 0, 'CNY', $6::bigint, 0, now(), null, null)::billing.transfer_request]) from c`,
    [site.company, key, BigInt(Date.now()) * 1000n, site.entity, point.purse, micro], { user: 'penstock_admin' });
  await sell('s1', 10_000_000n);
  const level = () => stack.value('select level from billing.purse where num = $1', [point.purse]);
  const told = async () => (await stack.query("select payload->>'level' as level from billing.outbox where subject_num = $1 and type = 'level_changed' order by version", [point.purse])).rows.map((r) => Number(r.level));
  assert.equal(await level(), 0);
  await site.journal([site.next(point, 9000)]); // 5.40: 4.60 left
  await site.settled();
  assert.equal(await level(), 1);
  await site.journal([site.next(point, 5000)]); // 1.60 left
  await site.settled();
  assert.equal(await level(), 2);
  await site.journal([site.next(point, 5000)]);
  await site.settled();
  assert.equal(await level(), 3);
  assert.deepEqual(await told(), [1, 2, 3]);
  await sell('s2', 20_000_000n);
  assert.equal(await level(), 0);
  await site.journal([site.next(point, 24_000, HOUR, { flags: FLAG_BACKFILL })]);
  await site.settled();
  assert.equal(await level(), 1);
  assert.deepEqual(await told(), [1, 2, 3]);
  await sound();
});

test('a sale in flight is waited for, and the level is that of both', async () => {
  const site = await makeSite();
  const [before, bought, after] = await site.addPoints(3);
  await site.journal([site.next(before, 1000), site.next(bought, 1000), site.next(after, 1000)]);
  await site.settled();
  const told = (point) => stack.value("select count(*)::int from billing.outbox where subject_num = $1 and type = 'level_changed'", [point.purse]);
  const earlier = await Promise.all([before, bought, after].map(told));
  const seller = await stack.connect({ user: 'penstock_admin' });
  await seller.query('begin');
  await seller.query("select set_config('app.company', $1, true)", [String(site.company)]);
  await seller.query(
    `select billing.post_transfers($1, 'test', 'flight', now(), array[row($2::bigint, 2, 7, $3::bigint, 0, 1, $4::bigint, 0, 'CNY', 9000000, 0, now(), null, null)::billing.transfer_request])`,
    [site.company, BigInt(Date.now()) * 1000n, site.entity, bought.purse]);
  await site.journal([site.next(before, 1000), site.next(bought, 10_000), site.next(after, 1000)]);
  await waitFor(
    async () => (await stack.value("select count(*)::int from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'penstock-billing%'")) === 1,
    { what: 'billing waits for the sale', within_ms: 5000 });
  await seller.query('commit');
  await seller.end();
  await site.settled();
  assert.equal(await site.balance(before), -1_200_000n);
  assert.equal(await site.balance(bought), 9_000_000n - 6_600_000n);
  assert.equal(await site.balance(after), -1_200_000n);
  const level = (point) => stack.value('select level from billing.purse where num = $1', [point.purse]);
  assert.deepEqual(await Promise.all([before, bought, after].map(level)), [3, 1, 3]);
  // The sale made normal of arrears, and tells a balance; the usage behind it made alarm 1 of normal.
  assert.deepEqual(await Promise.all([before, bought, after].map(told)), [earlier[0], earlier[1] + 1, earlier[2]]);
  await sound();
});

test('an edited threshold moves the level at once', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.journal([site.next(point, 1000)]);
  await site.settled();
  assert.equal(await stack.value('select level from billing.purse where num = $1', [point.purse]), 3);
  await stack.query('update core.purse set overdraft_micro = 100000000, alarm_1_micro = -1000000, alarm_2_micro = -50000000 where company_id = $1 and num = $2', [site.company, point.purse]);
  await waitFor(async () => (await stack.value('select level from billing.purse where num = $1', [point.purse])) === 0, { what: 'level 0', within_ms: 5000 });
  assert.equal(await stack.value("select count(*)::int from billing.outbox where subject_num = $1 and type = 'level_changed'", [point.purse]), 1);
  // An overdraft that ends takes its level with it; billing looks once a minute, and after each edit.
  await stack.query("update core.purse set overdraft_until = now() - interval '1 second' where company_id = $1 and num = $2", [site.company, point.purse]);
  await waitFor(async () => (await stack.value('select level from billing.purse where num = $1', [point.purse])) === 3, { what: 'level 3', within_ms: 5000 });
  await sound();
});

test('without a tariff the point waits, alone, and catches up', async () => {
  const site = await makeSite({ tariff: null });
  const [waits, goes] = await site.addPoints(2);
  await site.assign(await site.publish(flatTariff('one', '0.6')), goes.num);
  await site.journal([site.next(waits, 1000), site.next(goes, 1000), site.next(waits, 500)]);
  await site.settled();
  assert.equal((await site.charged(goes)).amount, 600_000n);
  assert.equal((await site.charged(waits)).count, 0);
  assert.equal(await stack.value('select error from billing.dead_letter where usage_point_num = $1', [waits.num]), 'no_tariff');
  await site.journal([site.next(waits, 250)]);
  await site.settled();
  await site.assign(await site.publish(flatTariff('two', '1')), waits.num);
  await waitFor(async () => (await site.charged(waits)).quantity === 1750n, { what: 'catching up', within_ms: 10000 });
  assert.equal((await site.charged(waits)).amount, 1_750_000n);
  assert.equal(await stack.value('select stopped_since from billing.point where num = $1', [waits.num]), null);
  await site.journal([site.next(waits, 250)]);
  await site.settled();
  assert.equal((await site.charged(waits)).quantity, 2000n);
  await sound();
});

test('a change of holder and of tariff cuts the charge at its instant', async () => {
  const opened = Date.parse('2026-11-10T00:00:00+08:00');
  const site = await makeSite({ opened });
  const point = await site.addPoint();
  const before = { ...point };
  await site.journal([site.next(point, 1000, HOUR)]);
  await site.settled();
  await site.hold(point, new Date(opened + 2 * HOUR));
  await site.journal([site.next(point, 2000, 2 * HOUR)]); // half of it each
  await site.settled();
  assert.equal(await site.balance(before), -1_200_000n);
  assert.equal(await site.balance(point), -600_000n);
  await sound();
});

test('what is edited while readings come is followed at once', async () => {
  const site = await makeSite();
  const first = await site.addPoint();
  await site.journal([site.next(first, 1000)]);
  await site.settled();
  const second = await site.addPoint(); // a new meter
  await stack.query('update core.channel set ratio_num = 2 where company_id = $1 and num = $2', [site.company, second.channel]);
  await site.journal([site.next(first, 1000), site.next(second, 1000)]);
  await site.settled();
  assert.equal((await site.charged(second)).quantity, 2000n);
  await site.publish(flatTariff(`${(await stack.value('select code from core.tariff where company_id = $1', [site.company]))}`, '1.2'), new Date(first.at));
  await site.journal([site.next(first, 1000)]);
  await site.settled();
  assert.equal((await site.charged(first)).amount, 600_000n + 600_000n + 1_200_000n);
  await sound();
});

test('usage nobody holds tiles but is not charged', async () => {
  const site = await makeSite();
  const point = await site.addPoint({ held: false });
  await site.journal([site.next(point, 1000)]);
  await site.settled();
  const { rows } = await stack.query('select account_num, amount_micro, quantity from billing.charge where usage_point_num = $1', [point.num]);
  assert.deepEqual(rows, [{ account_num: 0n, amount_micro: 0n, quantity: 1000n }]);
  assert.equal(await stack.value('select count(*)::int from billing.transfer where company_id = $1', [site.company]), 0);
  await site.hold(point, new Date(point.at));
  await site.journal([site.next(point, 1000)]);
  await site.settled();
  assert.equal(await site.balance(point), -600_000n);
  await sound();
});

test('data that cannot be posted stops one point; its block and everybody else go on', async () => {
  const site = await makeSite();
  const points = await site.addPoints(9);
  await site.journal(points.map((point) => site.next(point, 100)));
  await site.settled();
  const poison = points[4];
  await stack.query('update billing.purse set balance_micro = -9223372036854775000 where num = $1', [poison.purse]);
  await site.journal(points.map((point) => site.next(point, 100_000 / 10)));
  await site.settled();
  for (const point of points) assert.equal((await site.charged(point)).quantity, point === poison ? 100n : 10_100n);
  assert.match(await stack.value('select error from billing.dead_letter where usage_point_num = $1', [poison.num]), /BAD_INPUT.*out of range/);
  assert.notEqual(await stack.value('select stopped_since from billing.point where num = $1', [poison.num]), null);
  await site.journal(points.map((point) => site.next(point, 100)));
  await site.settled();
  assert.equal((await site.charged(points[0])).quantity, 10_200n);
  assert.equal((await site.charged(poison)).quantity, 100n);
  // The cause is removed and the company touched: it catches up.
  await stack.query('update billing.purse set balance_micro = $2 where num = $1', [poison.purse, -(await site.charged(poison)).amount]);
  await stack.query('update core.company set name = name where company_id = $1', [site.company]);
  await waitFor(async () => (await site.charged(poison)).quantity === 10_200n, { what: 'catching up', within_ms: 10000 });
  await sound();
});

test('finished local days are packed, lossless, and add up', async () => {
  const opened = Date.parse('2026-11-01T00:00:00+08:00');
  const site = await makeSite({ opened });
  const point = await site.addPoint();
  const records = Array.from({ length: 24 * 4 }, (_, i) => site.next(point, 1000 + i, HOUR, { flags: FLAG_BACKFILL }));
  await site.journal(records);
  await site.settled();
  await waitFor(async () => (await stack.value('select count(*)::int from billing.day where usage_point_num = $1', [point.num])) >= 4, { what: 'days packed', within_ms: 20000 });
  const { rows } = await stack.query('select day::text, reading_count, quantity, amount_micro, min_value, max_value from billing.day where usage_point_num = $1 order by day', [point.num]);
  // The reading at midnight belongs to the day that begins; its usage to the day that ends.
  assert.deepEqual(rows.map((r) => r.reading_count), [23, 24, 24, 24]);
  assert.equal(rows.slice(0, 4).reduce((sum, r) => sum + r.quantity, 0n), records.at(-1).value);
  assert.equal(rows.reduce((sum, r) => sum + r.amount_micro, 0n), (await site.charged(point)).amount);
  assert.equal(rows[0].max_value, records[22].value);
  // A late reading merges into its day.
  await site.journal([site.reading(point, opened + 90 * 60_000, records[0].value + 500n)]);
  await site.settled();
  await waitFor(async () => (await stack.value("select reading_count from billing.day where usage_point_num = $1 and day = '2026-11-01'", [point.num])) === 24, { what: 'merged', within_ms: 20000 });
  await sound();
});

test('the board is told which properties changed', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.journal([site.next(point, 100)]);
  await site.settled();
  const seen = await waitFor(async () => {
    const entries = await stack.redis('XRANGE', 'board', '-', '+');
    return entries.map(([, fields]) => JSON.parse(fields[1])).find((e) => e.company === site.company);
  }, { what: 'a board entry' });
  assert.deepEqual(seen.properties, [Number(site.property)]);
});

test('metrics count what happened', async () => {
  assert.ok((await billing.metric('penstock_billing_polls_total', { outcome: 'charged' })) > 0);
  assert.ok((await billing.metric('penstock_billing_visible_seconds_count')) > 0);
  assert.equal(await billing.metric('penstock_billing_partitions'), 64);
  await sleep(0);
});

test('ledger verify, which charges everything again from what is stored, agrees', async () => {
  await waitFor(async () => (await stack.value('select (select count(*) from billing.day_request) + (select count(*) from billing.replay_request)')) === 0n, {
    what: 'lanes empty', within_ms: 30_000 });
  const { code, stdout, stderr } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 0, stdout + stderr);
});
