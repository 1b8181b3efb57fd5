// Kills, freezes and losses at every marked point, with a second replica taking over; afterwards nothing is lost and
// nothing is charged twice.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { HOUR, Site, flatPrice, touTariff, violations } from './site.mjs';

let stack;
let siteCount = 0;
before(async () => {
  stack = await startStack({ exclusive: true });
});
after(() => stack.stop());

const makeSite = (options) => Site.make(stack, { code: `take-${++siteCount}`, partition: (siteCount * 7) % 64, ...options });

async function exact(site, wh) {
  for (const point of site.points) {
    const { amount, quantity } = await site.charged(point);
    assert.equal(quantity, BigInt(wh));
    assert.equal(amount, flatPrice(BigInt(wh), 600_000n));
    assert.equal(await site.balance(point), -amount);
  }
  assert.deepEqual(await violations(stack), []);
}

const CRASH_POINTS = ['billing.after_claim', 'billing.before_copy', 'billing.before_update', 'billing.before_commit', 'billing.after_commit', 'billing.before_ring'];

for (const point of CRASH_POINTS) {
  test(`kill -9 at ${point}: the second replica takes over`, async () => {
    const site = await makeSite();
    await site.addPoints(20);
    const doomed = await stack.spawnService('billing', { PENSTOCK_CRASH_POINT: `${point}:2` });
    await doomed.ready();
    const heir = await stack.spawnService('billing');
    await heir.ready();
    let rounds = 0;
    while (doomed.isAlive && rounds < 60) {
      rounds++;
      await site.journal(site.points.map((p) => site.next(p, 100)));
      if (rounds >= 6) await stopIfNotItsPartition(doomed, rounds);
      await sleep(30);
    }
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
    for (let i = 0; i < 2; i++) await site.journal(site.points.map((p) => site.next(p, 100)));
    await site.settled(30_000);
    await exact(site, 100 * (rounds + 2));
    await heir.stop();
  });
}

// The other replica may hold the site's partition; then the doomed one gets readings of its own to die of.
const extra = new Map();
async function stopIfNotItsPartition(doomed, rounds) {
  if (!doomed.isAlive) return;
  if (!extra.has(doomed)) {
    const sites = [];
    for (let i = 0; i < 8; i++) {
      const site = await makeSite({ partition: i * 8 + (siteCount % 8) });
      await site.addPoints(2);
      sites.push(site);
    }
    extra.set(doomed, sites);
  }
  for (const site of extra.get(doomed)) await site.journal(site.points.map((p) => site.next(p, 10)));
}

for (const point of CRASH_POINTS) {
  test(`frozen at ${point}: its partitions pass on, and thawed it does no harm`, async () => {
    const site = await makeSite();
    await site.addPoints(10);
    const frozen = await stack.spawnService('billing', { PENSTOCK_CRASH_POINT: `${point}:2:stop` });
    await frozen.ready();
    await site.journal(site.points.map((p) => site.next(p, 100)));
    await site.settled();
    await site.journal(site.points.map((p) => site.next(p, 100)));
    await sleep(500);
    const heir = await stack.spawnService('billing');
    await heir.ready();
    await site.journal(site.points.map((p) => site.next(p, 100)));
    await site.settled(40_000); // in a transaction 5 s, between two 15 s; beats fresh 10 s
    await exact(site, 300);
    frozen.thaw();
    await sleep(3000);
    await site.journal(site.points.map((p) => site.next(p, 100)));
    await site.settled();
    await exact(site, 400);
    assert.equal(await waitFor(async () => (await frozen.metric('penstock_billing_partitions')) + (await heir.metric('penstock_billing_partitions')) === 64, { what: 'shares', within_ms: 20_000 }), true);
    await frozen.stop();
    await heir.stop();
  });
}

test('the k-th database operation fails, before or after it: the same result', async () => {
  const site = await makeSite();
  await site.addPoints(5);
  let wh = 0;
  for (const when of ['before', 'after']) {
    for (let k = 12; k <= 44; k += when === 'before' ? 4 : 3) {
      const service = await stack.spawnService('billing', { PENSTOCK_DB_FAIL: `${k}:${when}` });
      for (let i = 0; i < 2; i++) {
        await site.journal(site.points.map((p) => site.next(p, 50)));
        wh += 50;
        await site.settled(30_000);
      }
      await service.stop();
    }
  }
  await exact(site, wh);
});

test('Redis wiped, killed and away: billing goes on', async () => {
  const site = await makeSite();
  await site.addPoints(5);
  const service = await stack.spawnService('billing');
  await service.ready();
  await site.journal(site.points.map((p) => site.next(p, 10)));
  await stack.flushRedis();
  await site.journal(site.points.map((p) => site.next(p, 10)), { ring: false });
  await site.settled();
  await stack.stopRedis();
  await site.journal(site.points.map((p) => site.next(p, 10)), { ring: false });
  await site.settled();
  await stack.startRedis();
  await site.journal(site.points.map((p) => site.next(p, 10)));
  await site.settled();
  await exact(site, 40);
  await service.stop();
});

test('PostgreSQL stopped at once and started again under load', async () => {
  const site = await makeSite();
  await site.addPoints(50);
  const a = await stack.spawnService('billing');
  const b = await stack.spawnService('billing');
  await Promise.all([a.ready(), b.ready()]);
  let rounds = 0;
  for (let cycle = 0; cycle < 2; cycle++) {
    for (let i = 0; i < 15; i++) {
      await site.journal(site.points.map((p) => site.next(p, 20)));
      rounds++;
    }
    await stack.stopPostgres({ mode: 'immediate' });
    await sleep(300);
    await stack.startPostgres();
  }
  await site.journal(site.points.map((p) => site.next(p, 20)));
  await site.settled(40_000);
  await exact(site, 20 * (rounds + 1));
  await a.stop();
  await b.stop();
});

for (const point of ['billing.replay.before_commit', 'billing.replay.after_commit', 'billing.day.before_commit']) {
  for (const how of ['killed', 'frozen']) {
    test(`${how} at ${point}: done once by whoever comes next`, async () => {
      const opened = Date.parse('2026-11-10T00:00:00+08:00');
      const site = await makeSite({ opened, tariff: touTariff(`tou-${siteCount}`) });
      const late = await site.addPoint();
      const doomed = await stack.spawnService('billing', { PENSTOCK_CRASH_POINT: how === 'frozen' ? `${point}:1:stop` : point });
      await doomed.ready();
      const at = (hour) => opened + hour * HOUR;
      await site.journal([site.reading(late, at(24), 24_000n)]);
      await site.settled();
      await site.journal([site.reading(late, at(8), 24_000n)]);
      if (how === 'killed') assert.equal((await doomed.exit({ within_ms: 30_000 })).signal, 'SIGKILL');
      else await waitFor(() => doomed.isFrozen, { what: `frozen at ${point}`, within_ms: 30_000 });
      const heir = await stack.spawnService('billing');
      await heir.ready();
      const doneOnce = async () => {
        await site.settled(60_000);
        await site.quiet();
        assert.equal((await site.charged(late)).amount, 24n * 290_000n);
        assert.equal(await stack.value('select count(*)::int from billing.charge where usage_point_num = $1 and kind = 1', [late.num]), 1);
        await waitFor(async () => (await stack.value('select count(*)::int from billing.day_request')) === 0, { what: 'days packed', within_ms: 60_000 });
        assert.equal(await stack.value("select reading_count from billing.day where usage_point_num = $1 and day = '2026-11-10'", [late.num]), 1);
        assert.deepEqual(await violations(stack), []);
      };
      await doneOnce();
      if (how === 'frozen') {
        doomed.thaw();
        await sleep(3000);
        await doneOnce();
        await doomed.stop();
      }
      await heir.stop();
    });
  }
}

test('replicas share the partitions fairly', async () => {
  const a = await stack.spawnService('billing');
  await a.ready();
  const b = await stack.spawnService('billing', { PENSTOCK_BILLING_WORKERS: '2' });
  await b.ready();
  const owned = async () => [await a.metric('penstock_billing_partitions'), await b.metric('penstock_billing_partitions')];
  await waitFor(async () => {
    const [x, y] = await owned();
    return x + y === 64 && x <= 22 && y <= 44;
  }, { what: 'fair shares', within_ms: 30_000 });
  await b.stop();
  await waitFor(async () => (await a.metric('penstock_billing_partitions')) === 64, { what: 'all back', within_ms: 10_000 });
  await a.stop();
});
