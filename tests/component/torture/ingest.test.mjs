// The k-th database operation of ingest loses its connection, before the server saw it or after it took effect. A gateway
// that hears nothing, or 503, sends again; what was acknowledged is in the journal, and billing charges it once.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Site as Wires, push } from '../ingest/site.mjs';
import { DAY, HOUR, Site, flatTariff, violations } from '../billing/site.mjs';

const BUDGET_MS = process.env.PENSTOCK_TEST_LONG ? 180_000 : 25_000; // of each way to fail
const STRIDE = 5;
const PUSHES = 4;
const OPENED = Date.now() - 2 * DAY;
const stack = await startStack();
after(() => stack.stop());

// A property that is billed, with a gateway that can sign.
const site = await Site.make(stack, { code: 'torn', partition: 0, opened: OPENED, tariff: flatTariff('torn', '0.6') });
const wires = Object.assign(new Wires(), { stack, company: site.company, property: site.property });

async function makeGateway() {
  const gateway = await wires.addPushGateway();
  site.gateway = gateway.num; // addPoint hangs its meters here
  const point = await site.addPoint();
  const address = await stack.value('select m.bus_address from core.meter m join core.channel c on c.company_id = m.company_id and c.meter_num = m.num where c.num = $1', [point.channel]);
  return { gateway, point, address, accepted: [] };
}

// The same readings until they are accepted, as a gateway does: signed anew each time, with a counter that rises.
async function deliver(service, sender, at, wh) {
  const value = `${wh / 1000n}.${String(wh % 1000n).padStart(3, '0')}`;
  const body = { readings: [{ meter: sender.address, register: 'active_energy_total', value, unit: 'kWh', read_at: new Date(at).toISOString() }] };
  await waitFor(async () => {
    if (!service.isAlive) throw new Error(`ingest ended: ${service.output.slice(-1500)}`);
    const answer = await push(service, sender.gateway, body, { within_ms: 4000 }).catch((error) => ({ status: error.code ?? 'lost' }));
    if (answer.status !== 200) assert.ok([503, 'lost', 'ECONNRESET', 'ECONNREFUSED'].includes(answer.status), `${answer.status} ${answer.body}`);
    return answer.status === 200;
  }, { what: `the reading of ${value} is accepted`, within_ms: 20_000, every_ms: 60 });
  sender.accepted.push(BigInt(wh));
}

const met = (service) => /closed the connection|cut by the test|UNAVAILABLE|UNCERTAIN/.test(service.output);
const senders = [];

async function attempt(fail) {
  const sender = await makeGateway();
  senders.push(sender);
  const service = await stack.spawnService('ingest', fail ? { PENSTOCK_DB_FAIL: fail } : {});
  for (let i = 0; i < PUSHES; i++) await deliver(service, sender, OPENED + (i + 1) * HOUR, BigInt(1000 * (i + 1) + i));
  // Housekeeping behind the journal: contacts, newest values, sessions.
  await waitFor(async () => (await stack.value('select value from ingest.last_value where channel_num = $1 and register = 0', [sender.point.channel])) === sender.accepted.at(-1), { what: `the newest value is kept after ${fail}`, within_ms: 20_000 });
  const reached = fail ? await waitFor(() => met(service), { what: 'a lost connection is told', within_ms: 300 }).then(() => true, () => false) : met(service);
  const counter = await stack.value('select counter from ingest.gateway_counter where gateway_num = $1', [sender.gateway.num]);
  assert.equal(counter, BigInt(sender.gateway.counter));
  await service.killNow();
  return reached;
}

// Every accepted reading is journaled, nothing else is, and whole.
async function journaled() {
  const records = await wires.journal();
  for (const sender of senders) {
    const values = new Set(records.filter((r) => BigInt(r.channel) === sender.point.channel).map((r) => BigInt(r.value)));
    assert.deepEqual([...values].sort((a, b) => Number(a - b)), sender.accepted);
  }
  assert.equal(await stack.value('select count(*) from ingest.refused_reading'), 0n);
}

test('an undisturbed run', async () => {
  assert.equal(await attempt(), false);
  await journaled();
});

for (const when of ['before', 'after']) {
  test(`the k-th database operation fails, cut off ${when} it`, async (t) => {
    const deadline = Date.now() + BUDGET_MS;
    const done = new Set();
    let count = 0;
    const one = async (k) => {
      done.add(k);
      const reached = await attempt(`${k}:${when}`);
      if (reached) count++;
      return reached;
    };
    let last = 0;
    for (let k = 1, missed = 0; missed < 3 && Date.now() < deadline; k += STRIDE) {
      if (await one(k)) [last, missed] = [k, 0];
      else missed++;
    }
    for (let shift = 1; shift < STRIDE; shift++)
      for (let k = 1 + shift; k <= last + STRIDE && Date.now() < deadline; k += STRIDE) if (!done.has(k)) await one(k);
    t.diagnostic(`${count} of about ${last + STRIDE} operations were lost, one at a time`);
    assert.ok(count >= 4, `only ${count} operations were met`);
    await journaled();
  });
}

test('Redis gone, full or of another kind: everything is accepted', async () => {
  const sender = await makeGateway();
  senders.push(sender);
  const service = await stack.spawnService('ingest');
  const ways = [
    () => stack.flushRedis(),
    () => stack.redis('CONFIG', 'SET', 'maxmemory', '1'),
    async () => {
      await stack.redis('CONFIG', 'SET', 'maxmemory', '0');
      for (const key of ['readings:0', 'board', 'device-events']) await stack.redis('SET', key, 'not a stream');
    },
    () => stack.stopRedis({ mode: 'kill' }),
  ];
  for (const [i, way] of ways.entries()) {
    await way();
    await deliver(service, sender, OPENED + (i + 1) * HOUR, BigInt(500 * (i + 1)));
  }
  await stack.startRedis();
  assert.equal((await service.stop()).code, 0);
  await journaled();
});

test('billing charges all of it once', async () => {
  const billing = await stack.spawnService('billing', { PENSTOCK_PARTITIONS: '1' });
  await site.settled(60_000);
  await site.quiet(60_000);
  await sleep(100);
  for (const sender of senders) assert.equal((await site.charged(sender.point)).quantity, sender.accepted.at(-1));
  assert.equal(await stack.value('select count(*) from billing.quarantine'), 0n);
  await billing.killNow();
  assert.deepEqual(await violations(stack), []);
  const { code, stdout, stderr } = await stack.ctl(['ledger', 'verify'], { within_ms: 90_000 });
  assert.equal(code, 0, stdout + stderr);
});
