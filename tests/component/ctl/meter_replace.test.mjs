// A meter is replaced: its end is charged, the tier position and its own credit carry over, and no Wh and no cent is lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { DAY, HOUR, Site, flatTariff, violations } from '../billing/site.mjs';

let stack;
let billing;
let siteCount = 0;
before(async () => {
  stack = await startStack();
  billing = await stack.spawnService('billing');
  await billing.ready();
});
after(() => stack.stop());

// 100 kWh of the month at 1.00, then 2.00. The site begins on the hour, days ago, within one local month where it can.
const START = (Math.floor((Date.now() - 5 * DAY) / HOUR) + 1) * HOUR;
async function makeSite() {
  const code = `swap-${++siteCount}`;
  const tariff = { ...flatTariff(code, '1'), tiers: { over: 'year', kind: 'graduated', upper: ['100'] }, lines: [{ name: 'energy', kind: 'quantity', prices: { flat: ['1', '2'] } }] };
  const site = await Site.make(stack, { code, partition: (siteCount * 13) % 64, opened: START, tariff });
  site.code = code;
  for (const [login, role] of [['ask', 'technician'], ['allow', 'manager']]) {
    const num = await stack.value(`insert into core.operator (company_id, id, login, name, password_hash) values ($1, gen_random_uuid(), $2, $2, 'x') returning num`, [site.company, login]);
    await stack.query('insert into core.operator_role (company_id, operator_num, role) values ($1, $2, $3)', [site.company, num, role]);
  }
  return site;
}

const idOf = (point) => stack.value('select id from core.usage_point where num = $1', [point.num]);
const iso = (at) => new Date(at).toISOString();
async function replace(site, point, at, ...more) {
  return stack.ctl(['meter', 'replace', '--company', site.code, '--usage-point', await idOf(point), '--at', iso(at), ...more]);
}
async function newChannel(point) {
  point.channel = await stack.value('select channel_num from core.channel_installation where usage_point_num = $1 and to_at is null', [point.num]);
  return point.channel;
}
async function verify() {
  assert.deepEqual(await violations(stack), []);
  const { code, stdout, stderr } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}
const refused = async (promise, code, pattern) => {
  const answer = await promise;
  assert.equal(answer.code, code, answer.stdout + answer.stderr);
  assert.match(answer.stderr, pattern);
  assert.equal(answer.stderr.trim().split('\n').length, 1);
};

test('the old meter is charged to its end, the new one goes on in the same tier', async () => {
  const site = await makeSite();
  const point = await site.addPoint({ opening: 5_000n });
  await site.journal([site.next(point, 60_000, 2 * HOUR), site.next(point, 30_000)]);
  await site.settled();
  const at = point.at + HOUR;
  await refused(replace(site, point, at, '--closing', '50', '--opening', '0', '--serial', 'N1'), 1, /--closing: backward: the last reading was 95\.000/);
  await refused(replace(site, point, at - 2 * HOUR, '--closing', '95', '--opening', '0', '--serial', 'N1'), 1, /--at: the old meter was read/);
  await refused(replace(site, point, Date.now() + HOUR, '--closing', '95', '--opening', '0', '--serial', 'N1'), 2, /--at: lies in the future/);
  await refused(replace(site, point, at, '--closing', 'much', '--opening', '0', '--serial', 'N1'), 2, /--closing: 'much' is no value/);
  await refused(replace(site, point, at, '--opening', '0', '--serial', 'N1'), 2, /either --closing or --dead/);
  await refused(replace(site, point, at, '--closing', '100', '--opening', '0', '--serial', 'N1', '--model', 'nothing'), 2, /no model 'nothing'/);
  const asked = ['--closing', '100.5', '--opening', '7', '--serial', 'N1'];
  const { code, stdout, stderr } = await replace(site, point, at, ...asked);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /closed at 100\.500, opened at 7\.000/);
  assert.match((await replace(site, point, at, ...asked)).stdout, /replaced before: nothing changed/);
  await refused(replace(site, point, at, '--closing', '100.6', '--opening', '7', '--serial', 'N1'), 1, /another replacement was made at this time/);
  // 95.5 kWh at 1.00; the new meter's first 10: 4.5 at 1.00 and 5.5 at 2.00.
  await newChannel(point);
  point.at = at;
  point.value = 7_000n;
  await site.journal([site.next(point, 10_000)]);
  await site.settled();
  const { amount, quantity } = await site.charged(point);
  assert.equal(quantity, 105_500n);
  assert.equal(amount, 100_000_000n + 11_000_000n);
  assert.match(await verify(), new RegExp(`usage point ${point.num}, 2 meters, 0 rollovers: registers 105\\.500 \\+ estimated 0\\.000 = charged 105\\.500 \\+ held by nobody 0\\.000\\n`));
  assert.equal(await stack.value(`select count(*)::int from core.audit where company_id = $1 and action = 'meter_replace'`, [site.company]), 1);
  assert.equal(await stack.value('select count(*)::int from core.meter where company_id = $1 and removed_at is not null', [site.company]), 1);
});

test('a dead display is closed by what the usage point usually uses, and by two persons', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  for (let hour = 0; hour < 72; hour++) await site.journal([site.next(point, 500)], { ring: hour === 71 });
  await site.settled();
  const last = point.at;
  const at = last + 12 * HOUR; // twelve hours of half a kWh
  const asked = ['--dead', '--opening', '0', '--serial', 'N2', '--requested-by', 'ask', '--approved-by', 'allow'];
  await refused(replace(site, point, at, '--dead', '--opening', '0', '--serial', 'N2', '--requested-by', 'allow', '--approved-by', 'allow'), 2, /somebody else/);
  await refused(replace(site, point, at, '--dead', '--opening', '0', '--serial', 'N2', '--requested-by', 'allow', '--approved-by', 'ask'), 1, /no manager is 'ask'/);
  await refused(replace(site, point, at, '--dead', '--opening', '0', '--serial', 'N2', '--requested-by', 'who', '--approved-by', 'allow'), 2, /no operator 'who'/);
  await refused(replace(site, point, at, '--dead', '--opening', '0', '--serial', 'N2'), 2, /--requested-by and --approved-by/);
  const { code, stdout, stderr } = await replace(site, point, at, ...asked);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /estimated since the last reading: 6\.000/);
  assert.match((await replace(site, point, at, ...asked)).stdout, /replaced before/);
  await newChannel(point);
  point.at = at;
  point.value = 0n;
  await site.journal([site.next(point, 1000)]);
  await site.settled();
  const { rows } = await stack.query('select id, cause, quantity from billing.charge where usage_point_num = $1 and from_at >= $2 order by from_at', [point.num, new Date(last)]);
  assert.deepEqual(rows.map((r) => [r.cause, r.quantity]), [[4, 6_000n], [0, 1_000n]]);
  assert.match(await verify(), new RegExp(`usage point ${point.num}, 2 meters, 0 rollovers: registers 37\\.000 \\+ estimated 6\\.000 = charged 43\\.000`));
  const why = await stack.ctl(['charge', 'explain', String(rows[0].id)]);
  assert.match(why.stdout, /Estimated: the replaced meter's display was dead/);
});

test('where no history tells, the estimate is declared', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.journal([site.next(point, 1000, 5 * HOUR)]);
  await site.settled();
  const asked = ['--dead', '--opening', '0', '--serial', 'N3', '--requested-by', 'ask', '--approved-by', 'allow'];
  await refused(replace(site, point, point.at + HOUR, ...asked), 1, /give --estimated/);
  assert.equal((await replace(site, point, point.at + HOUR, ...asked, '--estimated', '2.5')).code, 0);
});

test('what the old meter had left goes to the purse, the rest of its books to adjustment', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.journal([site.next(point, 10_000)]);
  await site.settled();
  const old = point.channel;
  // The books know 30.00 of credit in the meter; its display shows 24.50.
  await stack.query(
    `with c as (select set_config('app.company', ($1::integer)::text, true))
     select billing.post_transfers($1::integer, 'test', 'load', now(), array[row($2::bigint, 6, 9, $3::bigint, 0, 4, $4::bigint, 0, 'CNY', 30000000, 0, now(), null, null)::billing.transfer_request]) from c`,
    [site.company, BigInt(Date.now()) * 1000n, site.entity, old], { user: 'penstock_admin' });
  const asked = ['--closing', '10', '--opening', '0', '--serial', 'N4', '--credit', '24.50'];
  const { code, stdout, stderr } = await replace(site, point, point.at + HOUR, ...asked);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /credit to the purse: 24\.50 CNY; to adjustment: 5\.50/);
  assert.match((await replace(site, point, point.at + HOUR, ...asked)).stdout, /replaced before/);
  assert.equal(await site.balance(point), 14_500_000n);
  const { rows } = await stack.query(
    `select t.debit_class as debit, t.credit_class as credit, t.amount_micro as amount, r.old_channel_num as old from billing.transfer t
     join core.meter_replacement r on r.num = t.source_num and r.company_id = t.company_id where t.company_id = $1 and t.note = 'meter replaced' order by t.id`, [site.company]);
  assert.deepEqual(rows, [{ debit: 4, credit: 1, amount: 24_500_000n, old }, { debit: 4, credit: 9, amount: 5_500_000n, old }]);
  assert.match(await verify(), /all: credit carried over 24\.50 = booked 24\.50/);
});

test('a counter that passes its end is conserved; a charge that was lost or doubled is not', async () => {
  const site = await makeSite();
  const point = await site.addPoint({ opening: 999_990_000n });
  await site.journal([site.next(point, 5_000)]);
  await site.settled();
  point.value = 5_000n - 10_000n; // 5 kWh below the end: 10 more are 5 past it
  await site.journal([site.next(point, 10_000)]);
  await site.settled();
  assert.match(await verify(), new RegExp(`usage point ${point.num}, 1 meters, 1 rollovers: registers 15\\.000 \\+ estimated 0\\.000 = charged 15\\.000`));
  await stack.query(
    `insert into billing.charge select (c).id + 1, (c).company_id, (c).usage_point_num, (c).account_num, (c).purse_num, (c).channel_num, (c).epoch, 1, 1, 0, (c).id, (c).from_at,
       (c).to_at, 0, 0, 700, 0, (c).tariff_version_num, (c).id, (c).booked_at
     from (select c from billing.charge c where c.usage_point_num = $1 and c.kind = 0 order by c.id limit 1) x`, [point.num]);
  const { code, stdout } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`usage point ${point.num}: registers 15000 and estimated 0, but charged 15700`));
});
