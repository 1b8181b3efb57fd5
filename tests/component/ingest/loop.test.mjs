// From the balance to the relay and back: control and ingest as they are, with meters that obey. Nobody plays anybody.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HOUR, Site } from '../control/site.mjs';
import { seal } from '../../support/seal.mjs';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Line } from './line.mjs';

let stack, ingest;
const lines = [];
let count = 0;
let nextAddress = 400000000000;

before(async () => {
  stack = await startStack();
  await stack.query("select penstock.ensure_partitions((now() - interval '1 day')::date, (now() + interval '1 day')::date)");
  const control = await stack.spawnService('control');
  ingest = await stack.spawnService('ingest', { PENSTOCK_INGEST_RELAY_WAIT_S: '3', PENSTOCK_INGEST_VALVE_WAIT_S: '10' });
  await Promise.all([control.ready(), ingest.ready()]);
});
after(async () => {
  for (const one of lines) await one.end();
  await stack?.stop();
});

// A property whose points hang on a line of simulated meters.
async function makeLoop(points = 1, { switchKind = 'relay', travel_ms = 0, connect = true } = {}) {
  const site = await Site.make(stack, { code: `loop-${++count}`, switchKind });
  await stack.query('update core.gateway set heartbeat_s = 5 where num = $1', [site.gateway]);
  const registration = await stack.value('select registration from core.gateway where num = $1', [site.gateway]);
  const meters = [];
  for (const point of await site.addPoints(points)) {
    const address = String(nextAddress++);
    const id = await stack.value('select id from core.meter where num = $1', [point.meter]);
    const password = await seal(stack, site.company, `core.meter.password_sealed:${id}`, Buffer.from('02112233'));
    await stack.query('update core.meter set bus_address = $2, serial = $2, password_sealed = $3, poll_interval_s = 3600 where num = $1', [point.meter, address, password]);
    meters.push({ num: point.meter, channel: point.channel, address, point, config: { address, profile: 'flat', start_wh: 5000, password: '02112233', travel_ms } });
  }
  const line = Line.around({ stack, company: site.company }, { num: site.gateway, registration }, meters);
  lines.push(line);
  await sleep(1300);
  if (connect) await line.connect(ingest);
  return { site, line, meters };
}

const relay = async (line, meter) => (await line.shown(meter)).relay;

test('arrears darken, a payment lights, both verified on the meter', async () => {
  const { site, line, meters: [meter] } = await makeLoop();
  await site.setBalance(meter.point, -1_000_000n);
  await site.settled(meter.point, 'off', { within_ms: 20_000 });
  assert.equal(await relay(line, meter), 'open');
  assert.equal(line.trips(meter).length, 1);
  const paid = Date.now();
  await site.setBalance(meter.point, 20_000_000n);
  await site.settled(meter.point, 'on', { within_ms: 20_000 });
  assert.ok(Date.now() - paid < 10_000, `${Date.now() - paid} ms from paid to verified`);
  assert.equal(await relay(line, meter), 'closed');
  const told = (await site.events('supply_switched', meter.point)).map((e) => [e.state, e.reason]);
  assert.deepEqual(told, [['off', 'arrears'], ['on', 'paid']]);
});

test('paid between issue and claim: nothing leaves', async () => {
  const { site, line, meters: [meter] } = await makeLoop();
  await line.fault(meter, 'slow', 1500); // the number and the clock take their time
  await site.setBalance(meter.point, -1_000_000n);
  await site.issued(meter.point, 'switch_off');
  await site.setBalance(meter.point, 20_000_000n, { tell: false });
  await waitFor(async () => (await site.commands(meter.point, 'switch_off'))[0].state !== 'issued', { what: 'the claim', within_ms: 20_000 });
  await sleep(1000);
  assert.equal(line.trips(meter).length, 0);
  assert.equal((await site.refusals(meter.point)).at(-1).reason, 'not_in_arrears');
});

test('the gateway comes back: what should be dark becomes dark, what was paid meanwhile stays lit', async () => {
  const { site, line, meters: [poor, rich] } = await makeLoop(2, { connect: false });
  for (const meter of [poor, rich]) await site.setBalance(meter.point, -1_000_000n);
  for (const meter of [poor, rich])
    await waitFor(async () => (await site.refusals(meter.point)).some((r) => r.reason === 'gateway_offline'), { what: 'that it is offline', within_ms: 20_000 });
  await site.setBalance(rich.point, 20_000_000n);
  await line.connect(ingest);
  // A gateway that was lost and comes back is told by ingest after its silence; here control is told at once.
  await site.tell('ingest', 'device-events', 'gateway_back', site.gateway, Date.now(), { gateway: site.gateway, property: site.property, since: new Date().toISOString() });
  await site.settled(poor.point, 'off', { within_ms: 30_000 });
  assert.equal(await relay(line, poor), 'open');
  assert.equal(await relay(line, rich), 'closed');
  assert.equal(line.trips(rich).length, 0);
});

test('force-on lights and arms the meter against every trip; its end gives back to the rule', async () => {
  const { site, line, meters: [meter] } = await makeLoop();
  await site.setBalance(meter.point, -1_000_000n);
  await site.settled(meter.point, 'off', { within_ms: 20_000 });
  await site.request(meter.point, 'force_on', { until: Date.now() + HOUR });
  await site.settled(meter.point, 'on', { within_ms: 20_000 });
  await waitFor(async () => (await line.shown(meter)).keep_power === true, { what: 'keep-power', within_ms: 20_000 });
  await site.request(meter.point, 'release_force_on');
  await waitFor(async () => (await line.shown(meter)).keep_power === false, { what: 'its release', within_ms: 20_000 });
  await site.settled(meter.point, 'off', { within_ms: 60_000 });
  assert.equal(await relay(line, meter), 'open');
});

test('a valve closes and opens at its own pace', async () => {
  const { site, line, meters: [valve] } = await makeLoop(1, { switchKind: 'valve', travel_ms: 3000 });
  await site.setBalance(valve.point, -1_000_000n);
  await waitFor(async () => (await site.desired(valve.point))?.observed === 'closing', { what: 'closing', within_ms: 20_000 });
  await site.settled(valve.point, 'off', { within_ms: 20_000 });
  await site.setBalance(valve.point, 20_000_000n);
  await site.settled(valve.point, 'on', { within_ms: 20_000 });
  assert.equal(await relay(line, valve), 'closed');
});

test("a property's thresholds and schedule reach its meters and are confirmed", async () => {
  const { site, line, meters: [meter] } = await makeLoop();
  await site.setPolicy({ overload_w: 3500, overload_recoveries: 2, malicious_w: 800 });
  const kept = await waitFor(async () => {
    const { rows } = await stack.query("select * from control.parameter where company_id = $1 and usage_point_num = $2 and state = 'confirmed'", [site.company, meter.point.num]);
    return rows[0];
  }, { what: 'the confirmation', within_ms: 40_000 });
  assert.ok(kept);
  await line.fault(meter, 'extra_load', 9000);
  await waitFor(async () => (await relay(line, meter)) === 'open', { what: 'the trip of the meter itself', within_ms: 10_000 });
});
