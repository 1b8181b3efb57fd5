// What was charged stays charged under the versions known then: a tariff published for the past changes nothing until it
// is confirmed, neither in replays nor in ledger verify; the recharge posts exactly what was shown, once, whoever dies.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import { DAY, HOUR, Site, flatTariff, tieredTariff, violations } from './site.mjs';

const HISTORY = 2;
const YUAN = 1_000_000n;

let stack;
let billing;
let siteCount = 0;
before(async () => {
  stack = await startStack({ exclusive: true });
  billing = await stack.spawnService('billing');
  await billing.ready();
});
after(() => stack.stop());

async function makeSite(tariff, options = {}) {
  const code = `versions-${++siteCount}`;
  return Site.make(stack, { code, partition: (siteCount * 7) % 64, opened: Math.floor(Date.now() / HOUR) * HOUR - 5 * DAY, tariff: tariff(code), ...options });
}

const codeOf = () => `versions-${siteCount}`;
const idOf = (point) => stack.value('select id from core.usage_point where num = $1', [point.num]);
const recharge = async (site, at, ...more) => {
  const { code, stdout, stderr } = await stack.ctl(['recharge', '--company', codeOf(), '--property', 'p1', '--from', new Date(at).toISOString(), '--json', ...more]);
  return { code, stderr, ...(code === 0 ? JSON.parse(stdout) : {}) };
};
const items = () => stack.value('select count(*)::int from billing.recharge_item where done_at is null');
const recharged = () => waitFor(async () => (await items()) === 0, { what: 'recharges done', within_ms: 20_000 });
const corrections = async (point) => (await stack.query(
  'select id, amount_micro as amount, corrects, cause, cause_num, from_at, to_at, booked_at from billing.charge where usage_point_num = $1 and kind = 1 order by id', [point.num])).rows;
const explain = async (id) => {
  const { code, stdout, stderr } = await stack.ctl(['charge', 'explain', String(id), '--json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};
const packedAgain = () => waitFor(async () => (await stack.value('select count(*)::int from billing.day_request where requested_at <= now()')) === 0, { what: 'days packed', within_ms: 20_000 });

async function sound() {
  assert.deepEqual(await violations(stack), []);
  const { code, stdout, stderr } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 0, stdout + stderr);
}

// Ten kWh each hour, up to `until`.
async function read(site, point, until) {
  const records = [];
  while (point.at + HOUR <= until) records.push(site.next(point, 10_000));
  await site.journal(records);
  await site.settled();
}

test('a version published for the past counts from the next charge on', async () => {
  const site = await makeSite((code) => flatTariff(`${code}-t`, '0.6'));
  const point = await site.addPoint();
  await read(site, point, site.opened + 48 * HOUR);
  assert.equal((await site.charged(point)).amount, 288n * YUAN);
  await site.publish(flatTariff(`${codeOf()}-t`, '1'), new Date(site.opened + 24 * HOUR));
  await sound();
  await read(site, point, site.opened + 50 * HOUR);
  assert.equal((await site.charged(point)).amount, (288n + 20n) * YUAN);
  await sound();
  const { rows } = await stack.query('select from_at, version_num, run_num from billing.rated_version where usage_point_num = $1 order by num', [point.num]);
  assert.equal(rows.length, 2);
  assert.equal(rows[1].from_at.getTime(), site.opened + 48 * HOUR);
  assert.equal(rows[1].run_num, null);
});

test('a late reading before it is rated under what was known when its usage was charged', async () => {
  const site = await makeSite((code) => tieredTariff(`${code}-t`, ['300'], ['1', '2']));
  const point = await site.addPoint();
  await read(site, point, site.opened + 10 * HOUR);
  // Ten hours in one step, then a late reading that splits it: no money moves under either version, but the state does.
  await site.journal([site.next(point, 500_000, 10 * HOUR)]);
  await site.settled();
  const charged = (await site.charged(point)).amount;
  assert.equal(charged, (300n + 600n) * YUAN);
  await site.publish(tieredTariff(`${codeOf()}-t`, ['300'], ['5', '7']), new Date(site.opened));
  await site.journal([site.reading(point, site.opened + 15 * HOUR, 150_000n, { flags: HISTORY })]);
  await site.settled();
  await site.quiet();
  assert.equal((await site.charged(point)).amount, charged);
  assert.equal(await stack.value('select count(*)::int from billing.reading where channel_num = $1', [point.channel]), 12);
  await sound();
  await read(site, point, site.opened + 21 * HOUR);
  assert.equal((await site.charged(point)).amount, charged + 70n * YUAN);
  await sound();
});

test('an assignment made for the past counts from the next charge on', async () => {
  const site = await makeSite((code) => flatTariff(`${code}-t`, '0.6'));
  const point = await site.addPoint();
  await read(site, point, site.opened + 10 * HOUR);
  await site.assign(await site.publish(flatTariff(`${codeOf()}-u`, '2')), point.num, new Date(site.opened + 5 * HOUR));
  await sound();
  await read(site, point, site.opened + 11 * HOUR);
  assert.equal((await site.charged(point)).amount, 80n * YUAN);
  await sound();
});

test('a recharge shows the difference first, and posts it as it was shown', async () => {
  const site = await makeSite((code) => flatTariff(`${code}-t`, '0.6'));
  const [a, b] = await site.addPoints(2);
  await read(site, a, site.opened + 48 * HOUR);
  await read(site, b, site.opened + 48 * HOUR);
  const nothing = await recharge(site, site.opened);
  assert.deepEqual(nothing.lines, []);
  await site.publish(flatTariff(`${codeOf()}-t`, '1'), new Date(site.opened + 24 * HOUR));
  const shown = await recharge(site, site.opened);
  assert.deepEqual(shown.lines.map((line) => [line.usage_point, line.charged, line.would_be, line.difference, line.closing_difference]),
    [[await idOf(a), '288.00', '384.00', '96.00', '0.00'], [await idOf(b), '288.00', '384.00', '96.00', '0.00']]);
  assert.equal(shown.lines[0].from, new Date(site.opened + 24 * HOUR).toISOString().replace('.000Z', 'Z'));
  assert.equal(await items(), 0);
  const refused = await recharge(site, site.opened, '--confirm', '0'.repeat(16));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /the list has changed/);
  // A later --from is another list.
  const later = await recharge(site, site.opened + 36 * HOUR);
  assert.equal(later.lines[0].difference, '48.00');
  assert.notEqual(later.hash, shown.hash);
  // A reading meanwhile that changes no difference is no other list.
  await read(site, a, site.opened + 49 * HOUR);
  const before = await site.balance(a);
  const done = await recharge(site, site.opened, '--confirm', shown.hash);
  assert.equal(done.code, 0, done.stderr);
  await recharged();
  assert.equal(await site.balance(a), before - 96n * YUAN);
  const [correction, ...more] = await corrections(a);
  assert.deepEqual(more, []);
  assert.equal(correction.amount, 96n * YUAN);
  assert.equal(correction.cause, 2);
  const base = (await stack.query('select kind, from_at from billing.charge where id = $1', [correction.corrects])).rows[0];
  assert.equal(base.kind, 0);
  const why = await explain(correction.id);
  assert.equal(why.charge.cause, 'recharge');
  assert.equal(why.corrects.id, String(correction.corrects));
  assert.deepEqual([why.corrects.tariff_version, why.tariff.version], [1, 2]);
  assert.equal(why.corrects.from, why.charge.from);
  assert.match(why.sentences.at(-2), new RegExp(`corrects what was charged.*beginning with charge ${correction.corrects}, booked .* by version 1`));
  assert.match(why.sentences.at(-1), /as it was confirmed; the difference to what was charged is 96\.00 CNY/);
  // What was charged before is told as it was charged then, by the version known then.
  const then = await explain(correction.corrects);
  assert.deepEqual([then.tariff.version, then.charge.cause, then.corrects], [1, 'reading', null]);
  assert.deepEqual((await recharge(site, site.opened)).lines, []);
  const list = await stack.ctl(['recharge', 'list', '--company', codeOf()]);
  assert.match(list.stdout, new RegExp(`^${done.run} .* operator  property p1  waiting 0  done 2  refused 0  posted 192\\.00\n$`));
  await sound();
  // What is read, replayed and recharged afterwards goes on from there.
  await site.journal([site.next(a, 20_000, 2 * HOUR)]);
  await site.journal([site.reading(a, a.at - HOUR, a.value - 15_000n, { flags: HISTORY })]);
  await site.settled();
  await site.quiet();
  await sound();
  assert.equal((await corrections(a)).length, 1);
});

test('what is no longer as it was confirmed is refused, and nothing is posted', async () => {
  const site = await makeSite((code) => flatTariff(`${code}-t`, '0.6'));
  const point = await site.addPoint();
  await read(site, point, site.opened + 10 * HOUR);
  await site.publish(flatTariff(`${codeOf()}-t`, '1'), new Date(site.opened));
  const shown = await recharge(site, site.opened);
  assert.equal(shown.lines[0].difference, '40.00');
  await site.publish(flatTariff(`${codeOf()}-t`, '2'), new Date(site.opened));
  const refused = await recharge(site, site.opened, '--confirm', shown.hash);
  assert.equal(refused.code, 1);
  // Between the confirmation and the worker: as if the next version came right then.
  const again = await recharge(site, site.opened);
  await billing.stop();
  assert.equal((await recharge(site, site.opened, '--confirm', again.hash)).code, 0);
  const twice = await recharge(site, site.opened, '--confirm', again.hash);
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /wait for a replay or another recharge/);
  await site.publish(flatTariff(`${codeOf()}-t`, '3'), new Date(site.opened));
  billing = await stack.spawnService('billing');
  await billing.ready();
  await recharged();
  assert.deepEqual(await corrections(point), []);
  assert.match(await stack.value('select refused from billing.recharge_item where usage_point_num = $1', [point.num]), /no longer those that were confirmed/);
  await sound();
  await read(site, point, site.opened + 11 * HOUR);
  assert.equal((await site.charged(point)).amount, 90n * YUAN);
  await sound();
});

test('only the points of a tariff, only one point, and what breaks a rule', async () => {
  const site = await makeSite((code) => flatTariff(`${code}-t`, '0.6'));
  const [a, b] = await site.addPoints(2);
  await site.assign(await site.publish(flatTariff(`${codeOf()}-u`, '2')), b.num);
  await read(site, a, site.opened + 10 * HOUR);
  await read(site, b, site.opened + 10 * HOUR);
  await site.publish(flatTariff(`${codeOf()}-t`, '1'), new Date(site.opened));
  await site.publish(flatTariff(`${codeOf()}-u`, '3'), new Date(site.opened));
  assert.deepEqual((await recharge(site, site.opened)).lines.map((line) => line.difference), ['40.00', '100.00']);
  assert.deepEqual((await recharge(site, site.opened, '--tariff', `${codeOf()}-u`)).lines.map((line) => line.difference), ['100.00']);
  const one = await stack.ctl(['recharge', '--company', codeOf(), '--usage-point', await idOf(a), '--from', new Date(site.opened).toISOString()]);
  assert.equal(one.code, 0, one.stderr);
  assert.match(one.stdout, /\nsum +60\.00 +100\.00 +40\.00 +0\.00\nhash [0-9a-f]{16}\n$/);
  for (const [args, reason] of [
    [['--property', 'p1'], /--from/], [['--property', 'nowhere', '--from', '2026-01-01T00:00:00Z'], /no property 'nowhere'/],
    [['--property', 'p1', '--from', 'yesterday'], /no RFC 3339/], [['--usage-point', 'x', '--from', '2026-01-01T00:00:00Z'], /is no id/],
    [['--property', 'p1', '--tariff', 'none', '--from', '2026-01-01T00:00:00Z'], /no tariff 'none'/],
    [['--usage-point', '00000000-0000-7000-8000-000000000000', '--from', '2026-01-01T00:00:00Z'], /no usage point/],
  ]) {
    const { code, stderr } = await stack.ctl(['recharge', '--company', codeOf(), ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, reason);
  }
});

test('a closed month, tiers and months between: the difference is booked by month, effective then', async () => {
  const opened = Math.floor(Date.now() / HOUR) * HOUR - 40 * DAY;
  const site = await makeSite((code) => tieredTariff(`${code}-t`, ['300'], ['1', '2']), { opened });
  const point = await site.addPoint();
  const records = [];
  while (point.at + 12 * HOUR <= opened + 40 * DAY) records.push(site.next(point, 10_000, 12 * HOUR, { flags: 18 }));
  await site.journal(records);
  await site.settled(60_000);
  const charged = (await site.charged(point)).amount;
  await site.publish(tieredTariff(`${codeOf()}-t`, ['300'], ['1.5', '3']), new Date(opened));
  const shown = await recharge(site, opened);
  assert.equal(shown.code, 0, shown.stderr);
  assert.equal(BigInt(Math.round(Number(shown.lines[0].difference) * 100)) * 10_000n, charged / 2n);
  assert.equal((await recharge(site, opened, '--confirm', shown.hash)).code, 0);
  await recharged();
  assert.equal((await site.charged(point)).amount, charged + charged / 2n);
  const list = await corrections(point);
  assert.ok(list.length >= 2 && list.length <= 3, `${list.length}`);
  const monthOf = (at) => new Date(at.getTime() + 8 * HOUR - 1).toISOString().slice(0, 7);
  assert.equal(new Set(list.map((c) => monthOf(c.to_at))).size, list.length);
  for (const c of list) assert.ok(c.booked_at > c.to_at);
  await packedAgain();
  const days = await stack.value('select sum(amount_micro)::bigint from billing.day where usage_point_num = $1', [point.num]);
  const open = await stack.value(
    `select coalesce(sum(amount_micro), 0)::bigint from billing.charge where usage_point_num = $1
     and to_at > (date_trunc('day', (select max(to_at) from billing.charge where usage_point_num = $1 and kind = 0) at time zone 'Asia/Shanghai' - interval '1 ms') at time zone 'Asia/Shanghai')`, [point.num]);
  assert.ok(days + open >= charged + charged / 2n, `${days} ${open}`);
  await sound();
});

test('closes of tier windows follow a recharge', async () => {
  // A billing period that ended a few days ago: energy, and at least 100.00 for the period.
  let day = Math.floor((Date.now() + 8 * HOUR) / DAY) - 3;
  while (new Date(day * DAY).getUTCDate() > 28) day--;
  const end = day * DAY - 8 * HOUR;
  const least = (code, price, amount) => ({
    ...flatTariff(code, price), tiers: { over: 'billing_period', billing_day: new Date(end + 8 * HOUR).getUTCDate(), kind: 'graduated', upper: ['1000'] },
    lines: [{ name: 'energy', kind: 'quantity', prices: { flat: [price] } }, { name: 'least', kind: 'minimum', of: ['energy'], amount }],
  });
  const site = await makeSite((code) => least(`${code}-t`, '1', '100'), { opened: end - 10 * HOUR });
  const point = await site.addPoint();
  await site.journal([site.next(point, 30_000, 5 * HOUR), site.next(point, 10_000, 6 * HOUR)]);
  await site.settled();
  const closed = () => stack.value("select coalesce(sum(amount_micro), 0)::bigint from billing.charge where usage_point_num = $1 and cause = 3", [point.num]);
  await waitFor(async () => (await closed()) !== 0n, { what: 'the window closed' });
  const before = await site.charged(point);
  const close = await closed();
  assert.ok(close > 60n * YUAN && close < 62n * YUAN, `${close}`);
  await site.publish(least(`${codeOf()}-t`, '2', '150'), new Date(site.opened));
  await sound();
  const shown = await recharge(site, site.opened);
  assert.equal(shown.lines[0].difference, '40.00');
  assert.notEqual(shown.lines[0].closing_difference, '0.00');
  assert.equal((await recharge(site, site.opened, '--confirm', shown.hash)).code, 0);
  await recharged();
  const expected = BigInt(Math.round(Number(shown.lines[0].closing_difference) * 100)) * 10_000n;
  await waitFor(async () => (await closed()) === close + expected, { what: 'the close corrected' });
  assert.equal((await site.charged(point)).amount, before.amount + 40n * YUAN + expected);
  assert.equal((await recharge(site, site.opened)).lines.length, 0);
  await sound();
});

test('an account that left keeps its share of a recharge, and its purse bears it', async () => {
  const site = await makeSite((code) => flatTariff(`${code}-t`, '0.6'));
  const point = await site.addPoint();
  const [first, firstPurse] = [point.account, point.purse];
  await read(site, point, site.opened + 10 * HOUR);
  await site.hold(point, new Date(site.opened + 10 * HOUR));
  await read(site, point, site.opened + 15 * HOUR);
  await site.publish(flatTariff(`${codeOf()}-t`, '1'), new Date(site.opened));
  const shown = await recharge(site, site.opened);
  assert.deepEqual(shown.lines.map((line) => [line.account, line.difference]), [['N1', '40.00'], ['N2', '20.00']]);
  assert.equal((await recharge(site, site.opened, '--confirm', shown.hash)).code, 0);
  await recharged();
  assert.notEqual(first, point.account);
  assert.equal(await stack.value('select balance_micro from billing.purse where num = $1', [firstPurse]), -100n * YUAN);
  assert.equal(await site.balance(point), -50n * YUAN);
  await sound();
});

// Readings, late readings, versions and assignments for the past, recharges, in any order: the ledger stays proven, and what
// nobody confirmed changes nothing.
test('whatever the order, the ledger stays proven', async () => {
  const seed = Number(process.env.PENSTOCK_TEST_SEED ?? Date.now() % 1_000_000);
  console.log(`# seed ${seed}`);
  let state = seed + 1;
  const random = (below) => { state = (state * 48271) % 2147483647; return state % below; };
  const price = () => `${1 + random(5)}.${random(10)}`;
  const tariff = (code) => (random(2) ? flatTariff(code, price()) : tieredTariff(code, ['200', '700'], [price(), price(), price()]));
  const site = await makeSite((code) => tariff(`${code}-t`));
  const points = await site.addPoints(2);
  const spare = [];
  const refusedBefore = await stack.value('select count(refused)::int + count(failed)::int from billing.recharge_item');
  for (let step = 0; step < 30; step++) {
    const point = points[random(2)];
    const past = new Date(site.opened + random(100) * HOUR);
    const was = (await site.charged(point)).amount;
    const place = `seed ${seed}, step ${step}`;
    switch (random(6)) {
      case 0: case 1: {
        // Two hours in one step, or in two; the reading between may come late.
        const from = { at: point.at, value: point.value };
        if (random(2)) await site.journal([site.next(point, random(30_000), HOUR)]);
        else spare.push({ point, at: Number(from.at) + HOUR, value: BigInt(from.value) + BigInt(random(100)) });
        await site.journal([site.next(point, 200 + random(60_000), HOUR + (point.at === from.at ? HOUR : 0))]);
        await site.settled();
        break;
      }
      case 2: {
        const late = spare.pop();
        if (!late) break;
        await site.journal([site.reading(late.point, late.at, late.value, { flags: HISTORY })]);
        await site.settled();
        await site.quiet();
        break;
      }
      case 3:
        await site.publish(tariff(`${codeOf()}-t`), past);
        assert.equal((await site.charged(point)).amount, was, place);
        break;
      case 4:
        await site.assign(await site.publish(tariff(`${codeOf()}-${step}`)), random(2) ? point.num : null, past);
        assert.equal((await site.charged(point)).amount, was, place);
        break;
      default: {
        const shown = await recharge(site, past);
        assert.equal(shown.code, 0, `${place}: ${shown.stderr}`);
        if (shown.lines.length === 0) break;
        const done = await recharge(site, past, '--confirm', shown.hash);
        assert.equal(done.code, 0, `${place}: ${done.stderr}`);
        await recharged();
        assert.equal(await stack.value('select count(refused)::int + count(failed)::int from billing.recharge_item'), refusedBefore, place);
        assert.deepEqual((await recharge(site, past)).lines, [], place);
      }
    }
    if (step % 6 === 5) await sound().catch((error) => assert.fail(`${place}: ${error.message}`));
  }
  await sound();
});

for (const place of ['billing.recharge.before_commit', 'billing.recharge.after_commit']) {
  test(`killed at ${place}: recharged once by whoever comes next`, async () => {
    const site = await makeSite((code) => flatTariff(`${code}-t`, '0.6'));
    const point = await site.addPoint();
    await read(site, point, site.opened + 10 * HOUR);
    await site.publish(flatTariff(`${codeOf()}-t`, '1'), new Date(site.opened));
    const shown = await recharge(site, site.opened);
    await billing.stop();
    assert.equal((await recharge(site, site.opened, '--confirm', shown.hash)).code, 0);
    const doomed = await stack.spawnService('billing', { PENSTOCK_CRASH_POINT: `${place}:1` });
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
    billing = await stack.spawnService('billing');
    await billing.ready();
    await recharged();
    assert.deepEqual((await corrections(point)).map((c) => c.amount), [40n * YUAN]);
    await sound();
  });
}
