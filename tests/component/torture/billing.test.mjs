// The k-th database operation of billing loses its connection, before the server saw it or after it took effect. Whatever
// k is, the service goes on by itself, and the books end as in an undisturbed run.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import { DAY, HOUR, Site, flatTariff, touTariff, violations } from '../billing/site.mjs';

const BUDGET_MS = process.env.PENSTOCK_TEST_LONG ? 180_000 : 28_000; // of each way to fail
const STRIDE = 7;
const OPENED = Math.floor((Date.now() + 8 * HOUR) / DAY) * DAY - 8 * HOUR - 2 * DAY + 6 * HOUR; // six in the morning two days ago, in Shanghai
const stack = await startStack();
after(() => stack.stop());

let siteCount = 0;

// Five points: plain usage over two days that crosses every level, a step nobody can believe, a reading that comes late,
// between a cheap and a dear hour and corrects what was charged, a meter nobody holds. All of one partition: a lost connection's place among the workers expires without being missed.
async function makeSite() {
  const site = await Site.make(stack, { code: `t-${++siteCount}`, partition: 0, opened: OPENED, tariff: flatTariff(`t-${siteCount}`, '0.6') });
  const [plain, jumping, late] = await site.addPoints(3);
  await site.assign(await site.publish(touTariff(`t-${siteCount}-tou`)), late.num);
  const unheld = await site.addPoint({ held: false });
  await deposit(site, plain, 12_000_000n);
  const readings = [];
  for (let i = 0; i < 30; i++) readings.push(site.next(plain, 1000));
  readings.push(site.next(jumping, 900), site.reading(jumping, jumping.at + HOUR, jumping.value + 10n ** 8n));
  readings.push(site.next(late, 700), site.next(late, 4300, 2 * HOUR), site.next(unheld, 500));
  await site.journal(readings, { ring: false });
  site.lateRecords = [site.reading(late, late.at - HOUR, BigInt(late.value) - 3300n)];
  await site.journal([site.next(plain, 2500), site.next(late, 100)], { ring: false });
  return site;
}

const deposit = (site, point, amount) =>
  stack.query(
    `with c as (select set_config('app.company', $1::text, true))
     select billing.post_transfers($1::integer, 'test', 'deposit', $2, array[row($3::bigint, 2, 7, $4::bigint, 0, 1, $5::bigint, 0, 'CNY', $6::bigint, 0, $2::timestamptz, null, null)::billing.transfer_request]) from c`,
    [site.company, new Date(), BigInt(site.company) << 40n, site.entity, point.purse, amount], { user: 'penstock_admin' });

// What the books of a site say; the same for every site that went well. How many charges the usage was cut into may
// differ, for readings are charged by transaction.
async function books(site) {
  const { rows } = await stack.query(`
    select (select count(*) from billing.reading where company_id = $1) as readings,
           (select string_agg(reason, ',' order by id) from billing.quarantine where company_id = $1) as quarantined,
           (select count(*) from billing.dead_letter where company_id = $1) as dead,
           (select array_agg(t order by t) from (select sum(quantity) || ' ' || sum(amount_micro) as t from billing.charge where company_id = $1 group by usage_point_num) s) as charged,
           (select array_agg(balance_micro || ' ' || level order by balance_micro) from billing.purse where company_id = $1) as purses,
           (select count(*) from billing.charge where company_id = $1 and kind = 1) as corrections,
           (select array_agg(t order by t) from (select distinct type as t from billing.outbox where company_id = $1) s) as events,
           (select count(*) from billing.point where company_id = $1 and stopped_since is not null) as stopped`, [site.company]);
  return rows[0];
}

// Nothing waits any more; the late reading comes when everything else is booked.
async function isFinished(site) {
  if (!(await isIdle(site))) return false;
  if (!site.lateRecords) return true;
  await site.journal(site.lateRecords, { ring: false });
  site.lateRecords = null;
  return false;
}

const isIdle = async (site) =>
  (await stack.value(`
    select (select count(*) from ingest.reading_block b where not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id))
         + (select count(*) from billing.replay_request where company_id = $1) as waiting`, [site.company])) === 0n;

// Billing over one site until its books are done. It has to mend itself; where it may end instead (it could not even
// start), a clean one does the work. Answers whether the failure was met.
async function run(site, fail) {
  const billing = await stack.spawnService('billing', { PENSTOCK_PARTITIONS: '1', ...(fail ? { PENSTOCK_DB_FAIL: fail } : {}) });
  const check = async () => !billing.isAlive || (await isFinished(site));
  await waitFor(check, { what: `billing finishes with ${fail}`, within_ms: 30_000, every_ms: 15 }).catch((error) => {
    error.message += `\n${billing.output.slice(-3000)}`;
    throw error;
  });
  const ended = !billing.isAlive;
  await billing.killNow();
  await stack.query('delete from billing.replica'); // the next one need not wait for its beat to grow old
  if (ended) assert.ok(fail, `billing ended by itself: ${billing.output.slice(-2000)}`);
  if (ended) await run(site);
  return /closed the connection|cut by the test|UNAVAILABLE|UNCERTAIN/.test(billing.output);
}

let undisturbed;

test('an undisturbed run', async () => {
  const site = await makeSite();
  assert.equal(await run(site), false);
  undisturbed = await books(site);
  assert.equal(undisturbed.readings, 37n);
  assert.equal(undisturbed.quarantined, 'implausible');
  assert.deepEqual(undisturbed.charged, ['32500 19500000', '500 0', '5100 4000000', '900 540000']);
  assert.deepEqual(undisturbed.events, ['balance_changed', 'level_changed', 'reading_quarantined']);
  assert.equal(undisturbed.corrections, 1n);
});

async function verified() {
  assert.deepEqual(await violations(stack), []);
  const { code, stdout, stderr } = await stack.ctl(['ledger', 'verify'], { within_ms: 90_000 });
  assert.equal(code, 0, stdout + stderr);
}

for (const when of ['before', 'after']) {
  test(`the k-th database operation fails, cut off ${when} it`, async (t) => {
    const deadline = Date.now() + BUDGET_MS;
    const done = new Set();
    let met = 0;
    const attempt = async (k) => {
      done.add(k);
      const site = await makeSite();
      const reached = await run(site, `${k}:${when}`);
      assert.deepEqual(await books(site), undisturbed, `books after operation ${k} was lost`);
      if (reached) met++;
      return reached;
    };
    // Every seventh operation first, up to the last there is; then those between, as many as the time allows.
    let last = 0;
    for (let k = 1, missed = 0; missed < 2 && Date.now() < deadline; k += STRIDE) {
      if (await attempt(k)) [last, missed] = [k, 0];
      else missed++;
    }
    for (let shift = 1; shift < STRIDE; shift++)
      for (let k = 1 + shift; k <= last + STRIDE && Date.now() < deadline; k += STRIDE) if (!done.has(k)) await attempt(k);
    t.diagnostic(`${met} of about ${last + STRIDE} operations were lost, one at a time`);
    assert.ok(met >= 8, `only ${met} operations were met`);
    await verified();
  });
}

test('Redis gone, full or wiped changes nothing', async (t) => {
  const ways = {
    'nobody rings': async () => {},
    wiped: () => stack.flushRedis(),
    full: () => stack.redis('CONFIG', 'SET', 'maxmemory', '1'),
    'of another kind': async () => {
      await stack.redis('CONFIG', 'SET', 'maxmemory', '0');
      for (const key of ['readings:0', 'board', 'balances']) await stack.redis('SET', key, 'not a stream');
    },
    gone: () => stack.stopRedis({ mode: 'kill' }),
  };
  const site0 = await makeSite();
  const billing = await stack.spawnService('billing', { PENSTOCK_PARTITIONS: '1' });
  await billing.ready();
  await waitFor(() => isFinished(site0), { what: 'the first site', within_ms: 20_000 });
  for (const [name, break_] of Object.entries(ways)) {
    await break_();
    const site = await makeSite();
    await waitFor(() => isFinished(site), { what: `a site while Redis is ${name}`, within_ms: 20_000 });
    assert.deepEqual(await books(site), undisturbed, name);
    assert.ok(billing.isAlive, billing.output.slice(-2000));
    t.diagnostic(`Redis ${name}: done`);
  }
  await stack.startRedis();
  assert.equal((await billing.stop()).code, 0);
  await verified();
});
