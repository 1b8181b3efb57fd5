// Acknowledged means journaled: the process is killed or frozen at every marked point, PostgreSQL and Redis go away, two
// replicas share the work. A gateway sends again what was not acknowledged; everything acknowledged is in the journal.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor, withDeadline } from '../../support/wait.mjs';
import { Dtu, MeterOnLine, Site, push, reading } from './site.mjs';

let stack, site, gateway, meter;
const running = [];

before(async () => {
  stack = await startStack({ exclusive: true });
  site = await Site.create(stack);
  gateway = await site.addPushGateway();
  meter = await site.addMeter(gateway, '000000000001');
});
after(() => stack?.stop());
afterEach(async () => {
  for (const service of running.splice(0)) if (service.isAlive) await service.killNow();
});

async function start(env = {}) {
  const service = await stack.spawnService('ingest', env);
  running.push(service);
  await service.ready({ within_ms: 20_000 });
  return service;
}

let nextValue = 10_000;

const values = async () => (await site.journal()).map((r) => r.value / 1000);
const storedCounter = () => stack.value('select coalesce(max(counter), 0) from ingest.gateway_counter where gateway_num = $1', [gateway.num]);

for (const [point, isJournaled] of [
  ['ingest.after_insert', false],
  ['ingest.before_commit', false],
  ['ingest.after_commit', true],
  ['ingest.before_answer', true],
  ['ingest.before_ring', true],
]) {
  test(`killed at ${point}: what was acknowledged is journaled, and sending again is right`, async () => {
    const doomed = await start({ PENSTOCK_CRASH_POINT: point });
    const value = nextValue++;
    const sent = reading(meter, String(value));
    const answer = await push(doomed, gateway, { readings: [sent] }, { within_ms: 5000 }).catch((error) => ({ error }));
    assert.deepEqual((await withDeadline(doomed.exited, 5000)).signal, 'SIGKILL');
    const there = (await values()).filter((v) => v === value).length;
    if (answer.status === 200) assert.equal(there, 1, 'acknowledged and not journaled');
    assert.equal(there, isJournaled ? 1 : 0);
    assert.equal(await storedCounter(), BigInt(isJournaled ? gateway.counter : gateway.counter - 1));

    const heir = await start();
    // The very bytes again, as a gateway that heard nothing would never do: refused when they are known.
    const replay = await push(heir, gateway, { readings: [sent] }, { counter: gateway.counter });
    assert.equal(replay.status, isJournaled ? 409 : 200);
    // Signed anew it is taken; channel, register and time make billing charge it once.
    const again = await push(heir, gateway, { readings: [sent] });
    assert.equal(again.status, 200);
    const records = (await site.journal()).filter((r) => r.value / 1000 === value);
    assert.equal(new Set(records.map((r) => `${r.channel} ${r.register} ${r.at} ${r.value}`)).size, 1);
  });

  test(`frozen at ${point}: nothing is acknowledged, and another replica takes over`, async () => {
    const frozen = await start({ PENSTOCK_CRASH_POINT: `${point}:1:stop` });
    const value = nextValue++;
    const sent = reading(meter, String(value));
    const lost = push(frozen, gateway, { readings: [sent] }, { within_ms: 1500 }).then((a) => a.status, () => 'unanswered');
    const expected = point === 'ingest.before_ring' ? [200, 'unanswered'] : ['unanswered'];
    assert.ok(expected.includes(await lost));
    const other = await start();
    // A transaction that holds the gateway's mark ends by the server's own time-out: a frozen client blocks nobody long.
    await waitFor(async () => (await push(other, gateway, { readings: [sent] }, { within_ms: 8000 })).status === 200, { within_ms: 20_000 });
    frozen.thaw();
    await sleep(300);
    const records = (await site.journal()).filter((r) => r.value / 1000 === value);
    assert.ok(records.length >= 1 && records.length <= 2);
    assert.equal(new Set(records.map((r) => `${r.channel} ${r.at} ${r.value}`)).size, 1);
  });
}

test('block ids of replicas never meet, and no two hold one number', async () => {
  const replicas = await Promise.all([start(), start(), start()]);
  const gateways = await Promise.all(replicas.map(() => site.addPushGateway()));
  const meters = [];
  for (const of of gateways) meters.push(await site.addMeter(of, '000000000009'));
  await waitFor(async () => (await push(replicas[2], gateways[2], { readings: [] })).status === 200, { within_ms: 5000 });
  await sleep(1200);
  await Promise.all(
    replicas.map(async (replica, i) => {
      for (let n = 0; n < 10; n++) {
        const answer = await push(replica, gateways[i], { readings: [reading(meters[i], String(n))] });
        assert.equal(answer.status, 200, answer.body);
      }
    }),
  );
  const nums = await stack.query("select count(distinct num) as nums from ingest.replica where beat_at > now() - interval '6 seconds'");
  assert.ok(nums.rows[0].nums >= 3n);
  const { rows } = await stack.query('select count(*) as all, count(distinct id) as distinct_ids from ingest.reading_block');
  assert.equal(rows[0].all, rows[0].distinct_ids);
});

test('without Redis everything is accepted, and with an emptied one', async () => {
  const service = await start();
  await stack.stopRedis();
  const value = nextValue++;
  const answer = await push(service, gateway, { readings: [reading(meter, String(value))] });
  assert.equal(answer.status, 200);
  assert.ok((await values()).includes(value));
  await stack.startRedis();
  await stack.flushRedis();
  assert.equal((await push(service, gateway, { readings: [reading(meter, String(nextValue++))] })).status, 200);
});

test('without PostgreSQL: 503 with Retry-After at once; afterwards all is well', async () => {
  const service = await start();
  await stack.stopPostgres({ mode: 'immediate' });
  const refused = await waitFor(async () => {
    const answer = await push(service, gateway, { readings: [reading(meter, '1')] }, { within_ms: 5000 });
    return answer.status === 503 && answer;
  }, { within_ms: 10_000 });
  assert.ok(Number(refused.headers['retry-after']) >= 1);
  assert.match(refused.headers['content-type'], /application\/problem\+json/);
  const began = Date.now();
  assert.equal((await push(service, gateway, { readings: [] }, { within_ms: 5000 })).status, 503);
  assert.ok(Date.now() - began < 1000, 'an outage is told at once');
  await stack.startPostgres();
  const value = nextValue++;
  await waitFor(async () => (await push(service, gateway, { readings: [reading(meter, String(value))] })).status === 200, { within_ms: 20_000, every_ms: 200 });
  assert.ok((await values()).includes(value));
});

test('under load PostgreSQL is cut off: every acknowledged reading is there', async () => {
  const service = await start();
  const acknowledged = new Set();
  let isOver = false;
  const gateways = [];
  for (let i = 0; i < 6; i++) {
    const of = await site.addPushGateway();
    gateways.push([of, await site.addMeter(of, `00000000010${i}`)]);
  }
  await sleep(1500);
  const work = gateways.map(async ([of, its]) => {
    while (!isOver) {
      const value = nextValue++;
      const answer = await push(service, of, { readings: [reading(its, String(value))] }, { within_ms: 15_000 }).catch(() => ({}));
      if (answer.status === 200 && answer.json.accepted === 1) acknowledged.add(value);
    }
  });
  await waitFor(() => acknowledged.size > 30, { within_ms: 10_000 });
  for (let round = 0; round < 3; round++) {
    await stack.stopPostgres({ mode: 'immediate' });
    await stack.startPostgres();
    const reached = acknowledged.size;
    await waitFor(() => acknowledged.size > reached + 30, { within_ms: 20_000 });
  }
  isOver = true;
  await Promise.all(work);
  const there = new Set(await values());
  const missing = [...acknowledged].filter((value) => !there.has(value));
  assert.deepEqual(missing, []);
});

test('a full queue is 503 and bounded, and the excess is taken when sent again', async () => {
  const service = await start({ PENSTOCK_INGEST_WORKERS: '4', PENSTOCK_INGEST_REQUESTS_WAITING: '4' });
  const gateways = [];
  for (let i = 0; i < 40; i++) {
    const of = await site.addPushGateway();
    gateways.push([of, await site.addMeter(of, `0000000002${String(i).padStart(2, '0')}`)]);
  }
  await waitFor(async () => (await push(service, gateways[39][0], { readings: [reading(gateways[39][1], '1')] })).json.accepted === 1, { within_ms: 5000 });
  const first = await Promise.all(gateways.map(([of, its]) => push(service, of, { readings: [reading(its, '2')] })));
  const busy = first.filter((a) => a.status === 503);
  assert.ok(busy.length > 0 && first.some((a) => a.status === 200), first.map((a) => a.status).join(' '));
  for (const answer of busy) assert.ok(Number(answer.headers['retry-after']) >= 1);
  for (const [of, its] of gateways)
    await waitFor(async () => (await push(service, of, { readings: [reading(its, '3')] })).status === 200, { within_ms: 10_000 });
});

test('a stopping service answers what it took, and closes its sessions', async () => {
  const service = await start();
  const dtu = await site.addDtu();
  const its = await site.addMeter(dtu, '300000000001', { protocol: 'dlt645_2007' });
  await sleep(1500);
  const link = await new Dtu(service, dtu, [new MeterOnLine(its.address, [1, 0, 0, 0, 1])]).connect();
  const open = () => stack.value('select count(*) from ingest.gateway_session where gateway_num = $1 and closed_at is null', [dtu.num]);
  await waitFor(async () => (await open()) === 1n, { within_ms: 5000 });
  const value = nextValue++;
  const answer = push(service, gateway, { readings: [reading(meter, String(value))] }).then((a) => a.status, () => 'cut');
  await sleep(5);
  await service.stop();
  assert.equal((await service.exited).code, 0);
  await link.closed();
  assert.equal(await open(), 0n);
  if ((await answer) === 200) assert.ok((await values()).includes(value));
});

test('after a kill -9 the gateway gets in again at once, on another replica', async () => {
  const dtu = await site.addDtu({ heartbeat: 60 });
  const its = await site.addMeter(dtu, '300000000002', { protocol: 'dlt645_2007' });
  const first = await start();
  const line = () => [new MeterOnLine(its.address, [1, 0, 0, 0, 1])];
  await new Dtu(first, dtu, line()).connect();
  const epoch = () => stack.value('select epoch from ingest.gateway_session where gateway_num = $1 and closed_at is null', [dtu.num]);
  await waitFor(epoch, { within_ms: 5000 });
  const second = await start();
  const refused = await new Dtu(second, dtu, line()).connect();
  await refused.closed();
  await first.killNow();
  await waitFor(async () => {
    const link = await new Dtu(second, dtu, line()).connect();
    await sleep(500);
    return !link.isClosed;
  }, { within_ms: 10_000, every_ms: 200 });
  assert.ok((await epoch()) >= 2n);
});
