// Back-pressure: billing that is behind holds pushes back and thins the rounds of buses; billing that is gone does not.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Dtu, MeterOnLine, Site, push, reading } from './site.mjs';

const LAG_MAX_MS = 2000;

let stack, site, service, gateway, meter;

before(async () => {
  stack = await startStack();
  site = await Site.create(stack, { pollSeconds: 5 });
  gateway = await site.addPushGateway();
  meter = await site.addMeter(gateway, '000000000001');
  service = await stack.spawnService('ingest', { PENSTOCK_INGEST_LAG_MAX_MS: String(LAG_MAX_MS) });
  await service.ready();
});
after(() => stack?.stop());

let value = 0;
const pushOne = () => push(service, gateway, { readings: [reading(meter, String(++value))] });
const pushUntil = (status, within_ms) =>
  waitFor(async () => {
    const answer = await pushOne();
    if (answer.status !== status) await sleep(200);
    return answer.status === status && answer;
  }, { what: `a push answered ${status}`, within_ms });

const unclaimed = () =>
  stack.value(`select count(*) from ingest.reading_block b
               where not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id)`);

// Billing as ingest sees it: a row, and a session that holds the lock of its number.
async function pretendWorker() {
  const client = await stack.connect();
  await client.query('select pg_advisory_lock(7001, 900)');
  await client.query(`insert into billing.replica (id, num, host, started_at, beat_at) values ($1, 900, 'pretended', now(), now())`, [randomUUID()]);
  return {
    beat: (lag_ms) => client.query('update billing.replica set beat_at = now(), lag_ms = $1 where num = 900', [lag_ms]),
    end: async () => {
      await client.query('delete from billing.replica where num = 900');
      await client.end();
    },
    vanish: () => client.end(), // the row stays, as after a kill
  };
}

test('without any billing readings are journaled, and a metric tells it', async () => {
  assert.equal((await pushOne()).status, 200);
  assert.equal(await service.metric('penstock_ingest_billing_workers'), 0);
});

test('real billing that cannot claim: pushes are told when to come again; once it can, they are taken', async () => {
  const billing = await stack.spawnService('billing');
  await billing.ready();
  await waitFor(async () => (await unclaimed()) === 0n, { what: 'the first blocks claimed' });
  const brake = await stack.connect();
  await brake.query('begin');
  await brake.query('lock table billing.block_claim in exclusive mode');
  assert.equal((await pushOne()).status, 200, 'the backlog');
  const held = await pushUntil(503, 25_000);
  assert.equal(held.json.type, 'urn:penstock:problem:busy');
  const seconds = Number(held.headers['retry-after']);
  assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 30, `Retry-After: ${held.headers['retry-after']}`);
  const blocks = (await site.journal()).length;
  assert.equal((await pushOne()).status, 503);
  assert.equal((await site.journal()).length, blocks, 'nothing of a held push is kept');
  assert.ok((await service.metric('penstock_ingest_pushes_busy_total')) >= 2);
  assert.ok((await service.metric('penstock_ingest_billing_lag_seconds')) >= LAG_MAX_MS / 1000);
  await brake.query('rollback');
  await brake.end();
  await pushUntil(200, 25_000);
  await waitFor(async () => (await unclaimed()) === 0n, { what: 'the backlog claimed', within_ms: 20_000 });
  assert.equal((await billing.stop()).code, 0);
});

test('held until the lag is below half, not only below the bound', async () => {
  const worker = await pretendWorker();
  await worker.beat(LAG_MAX_MS + 1);
  await pushUntil(503, 5000);
  for (let i = 0; i < 5; i++) {
    await worker.beat(LAG_MAX_MS / 2 + 100);
    await sleep(500);
    assert.equal((await pushOne()).status, 503);
  }
  await worker.beat(LAG_MAX_MS / 2 - 100);
  await pushUntil(200, 5000);
  for (let i = 0; i < 3; i++) {
    await worker.beat(LAG_MAX_MS - 100);
    await sleep(500);
    assert.equal((await pushOne()).status, 200);
  }
  await worker.end();
});

test('billing that dies while it is behind holds nobody back', async () => {
  const worker = await pretendWorker();
  await worker.beat(60_000);
  await pushUntil(503, 5000);
  await worker.vanish();
  await pushUntil(200, 5000);
  assert.equal(await service.metric('penstock_ingest_billing_workers'), 0);
  await stack.query('delete from billing.replica');
});

test('buses sit rounds out meanwhile, are not called silent, and answer reads on demand', async () => {
  const dtu = await site.addDtu();
  const installed = await site.addMeter(dtu, '100000000001', { protocol: 'dlt645_2007' });
  const line = new MeterOnLine(installed.address, [123456, 100, 200, 300, 122856]);
  const polls = () => line.asked.filter((item) => item === 0x0001ff00).length;
  let link;
  await waitFor(async () => {
    link = await new Dtu(service, dtu, [line]).connect();
    await sleep(300);
    return !link.isClosed;
  }, { what: 'the link', within_ms: 8000, every_ms: 200 });
  await waitFor(() => polls() >= 1, { what: 'the first poll', within_ms: 10_000 });
  const worker = await pretendWorker();
  await worker.beat(60_000);
  await pushUntil(503, 5000);
  await waitFor(async () => {
    await worker.beat(60_000);
    return (await service.metric('penstock_ingest_polls_skipped_total')) >= 1;
  }, { what: 'a round sat out', within_ms: 15_000, every_ms: 200 });
  const id = randomUUID();
  await stack.query(
    `insert into api.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
     values ($1, $2, 'read-requests', 'read_requested', $3, 1, $4, now())`,
    [id, site.company, installed.num, { gateway: Number(dtu.num), meter: Number(installed.num), channel: Number(installed.channel), requested_by: 'test' }],
  );
  await stack.redis('XADD', 'read-requests', '*', 'e', id);
  const result = await waitFor(async () => {
    await worker.beat(60_000);
    const { rows } = await stack.query("select type, payload from ingest.outbox where stream = 'command-results' and payload->>'command' = $1", [id]);
    return rows[0];
  }, { what: 'the result of the read', within_ms: 20_000, every_ms: 200 });
  assert.equal(result.type, 'read_done', JSON.stringify(result.payload));
  assert.equal(await stack.value('select count(*) from ingest.meter_contact where lost_since is not null and meter_num = $1', [installed.num]), 0n);
  await worker.end();
  await pushUntil(200, 5000);
  link.end();
});
