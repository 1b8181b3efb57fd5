// Control and ingest together, on the fleet's obeying meters: from arrears to an open relay, from a payment to a closed
// one, and what neither may do.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Line } from '../ingest/line.mjs';
import { Site as IngestSite } from '../ingest/site.mjs';
import { OPEN_POLICY, Site } from './site.mjs';

let stack, ingest;
let count = 0;
const lines = [];
before(async () => {
  stack = await startStack();
  await stack.query("select penstock.ensure_partitions((now() - interval '1 day')::date, (now() + interval '1 day')::date)");
  const control = await stack.spawnService('control');
  ingest = await stack.spawnService('ingest', { PENSTOCK_INGEST_RELAY_WAIT_S: '2', PENSTOCK_INGEST_VALVE_WAIT_S: '8', PENSTOCK_INGEST_DRAIN_S: '0' });
  await Promise.all([control.ready(), ingest.ready()]);
});
after(async () => {
  for (const line of lines) await line.end();
  await stack.stop();
});

async function makeLine(meters, policy = OPEN_POLICY) {
  const site = await Site.make(stack, { code: `line-${++count}`, policy });
  const line = await Line.create(Object.assign(new IngestSite(), { stack, company: site.company, property: site.property, models: {} }), meters, { poll: 5 });
  lines.push(line);
  for (const meter of line.meters) meter.point = await site.addPoint({ meter: meter.num, channel: meter.channel });
  await line.connect(ingest);
  return { site, line };
}

const relay = (line, meter, state) => waitFor(async () => (await line.shown(meter)).relay === state, { what: `the relay ${state}`, within_ms: 20_000 });

test('arrears open the relay, a payment closes it, within seconds', async () => {
  const { site, line } = await makeLine([{}]);
  const [meter] = line.meters;
  await site.setBalance(meter.point, -1n);
  await site.settled(meter.point, 'off', { within_ms: 20_000 });
  assert.equal((await line.shown(meter)).relay, 'open');
  const begun = Date.now();
  await site.setBalance(meter.point, 20_000_000n);
  await site.settled(meter.point, 'on', { within_ms: 20_000 });
  const took = Date.now() - begun;
  assert.equal((await line.shown(meter)).relay, 'closed');
  assert.ok(took < 10_000, `${took} ms`);
  assert.equal(line.trips(meter).length, 1);
  console.log(`# paid to power on and read back: ${took} ms`);
});

test('what must not be cut is not: no trip reaches a meter', async () => {
  const { site, line } = await makeLine([{}, {}, {}]);
  const [never, forced, paid] = line.meters;
  await stack.query('update core.usage_point set never_cut = true where num = $1', [never.point.num]);
  await site.request(forced.point, 'force_on');
  await waitFor(() => stack.value('select num from control.force_on where usage_point_num = $1', [forced.point.num]), { what: 'forced on' });
  await site.setBalance(never.point, -1n);
  await site.setBalance(forced.point, -1n);
  for (let i = 0; i < 5; i++) {
    await site.setBalance(paid.point, -1n, { tell: false });
    const { level_version: version } = await site.setBalance(paid.point, 20_000_000n, { tell: false });
    await site.tellLevel(paid.point, 3, version - 1n, -1n);
  }
  await sleep(1500);
  for (const meter of line.meters) assert.deepEqual(line.trips(meter).filter(({ result }) => result === 'done'), []);
});

test('the gateway is away: the switch-off dies, and comes when it is back; a switch-on waits', async () => {
  const { site, line } = await makeLine([{}]);
  const [meter] = line.meters;
  await line.disconnect();
  await site.setBalance(meter.point, -1n);
  await site.refused(meter.point, 'gateway_offline', { within_ms: 20_000 });
  await line.connect(ingest);
  await site.tell('ingest', 'device-events', 'gateway_back', line.gateway.num, 1, { gateway: line.gateway.num, property: site.property, since: new Date().toISOString() });
  await site.settled(meter.point, 'off', { within_ms: 20_000 });
  await line.disconnect();
  await site.setBalance(meter.point, 20_000_000n);
  await site.issued(meter.point, 'switch_on');
  await sleep(1000);
  assert.equal((await site.commands(meter.point, 'switch_on')).length, 1);
  await line.connect(ingest);
  await site.settled(meter.point, 'on', { within_ms: 20_000 });
});

test('a device that does not obey: no success, no second trip at once; then it does', async () => {
  const { site, line } = await makeLine([{}]);
  const [meter] = line.meters;
  await line.fault(meter, 'stuck');
  await site.setBalance(meter.point, -1n);
  await waitFor(async () => (await site.commands(meter.point, 'switch_off')).some(({ state }) => ['failed', 'unknown'].includes(state)), { what: 'its end', within_ms: 20_000 });
  await sleep(1000);
  assert.equal((await site.events('supply_switched', meter.point)).length, 0);
  assert.equal((await site.commands(meter.point, 'switch_off')).length, 1);
});

test('the answer to a switch-off is lost: the state is asked for, and that settles it', async () => {
  const { site, line } = await makeLine([{}]);
  const [meter] = line.meters;
  await line.fault(meter, 'lose_answer');
  await site.setBalance(meter.point, -1n);
  await site.settled(meter.point, 'off', { within_ms: 30_000 });
  await relay(line, meter, 'open');
  assert.equal(line.trips(meter).length, 1);
});

test('parameters reach the meter and are read back', async () => {
  const { site, line } = await makeLine([{}]);
  const [meter] = line.meters;
  await site.setPolicy({ overload_w: 6000, overload_recoveries: 2, malicious_w: 1500, schedule: [{ at: '06:00', do: 'on' }] });
  await waitFor(async () => (await stack.value('select state from control.parameter where usage_point_num = $1', [meter.point.num])) === 'confirmed', { what: 'confirmed', within_ms: 20_000 });
});

test('a valve closes in its time', async () => {
  const { site, line } = await makeLine([{ kind: 'valve', travel_ms: 1500 }]);
  const [meter] = line.meters;
  const asked = await site.request(meter.point, 'off');
  await site.settled(meter.point, 'off', { within_ms: 30_000 });
  assert.equal((await site.requestState(asked)).state, 'done');
  await site.request(meter.point, 'on');
  await site.settled(meter.point, 'on', { within_ms: 30_000 });
});
