// A switch-off leaves at most once and is never forgotten, whatever ends the process: killed or frozen at every marked
// point, links cut, several replicas, faults at random. The meters' own log is the judge.
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { freePort, sleep, waitFor, withDeadline } from '../../support/wait.mjs';
import { Line, playControl } from './line.mjs';
import { Site } from './site.mjs';

let stack, site;
const running = [];

before(async () => {
  stack = await startStack();
  await playControl(stack);
  site = await Site.create(stack, { pollSeconds: 3600 });
});
after(() => stack?.stop());
afterEach(async () => {
  for (const one of running.splice(0)) await (one instanceof Line ? one.end() : one.isAlive && one.killNow());
});

async function start(port, env = {}) {
  const service = await stack.spawnService('ingest', { PENSTOCK_INGEST_RELAY_WAIT_S: '2', PENSTOCK_INGEST_TCP_LISTEN: `127.0.0.1:${port}`, ...env });
  service.ports.tcp = port;
  running.push(service);
  await service.ready({ within_ms: 20_000 });
  return service;
}

async function line(service, count = 1, options = {}) {
  const made = await Line.create(site, Array(count).fill({}), options);
  running.push(made);
  await made.connect(service);
  return made;
}

const claims = (command) => stack.value('select count(*)::integer from control.claim_call where command = $1', [command]);

for (const [point, outcome, reason, tripCount, claimCount] of [
  ['ingest.after_take', 'failed', 'gateway_offline', 0, 0],
  ['ingest.before_claim', 'failed', 'gateway_offline', 0, 0],
  ['ingest.after_claim', 'unknown', 'session_lost', 0, 1],
  ['ingest.before_switch', 'unknown', 'session_lost', 0, 1],
  ['ingest.after_switch', 'unknown', 'session_lost', 0, 1],
  ['ingest.before_result', 'unknown', 'session_lost', 1, 1],
  ['ingest.after_result', 'verified', null, 1, 1],
])
  test(`killed at ${point}: a switch-off is told as ${outcome} and never sent again`, async () => {
    const port = await freePort();
    const doomed = await start(port, { PENSTOCK_CRASH_POINT: point });
    const one = await line(doomed);
    const [meter] = one.meters;
    const off = await one.issue(meter, 'switch_off');
    assert.equal((await withDeadline(doomed.exited, 10_000)).signal, 'SIGKILL');
    await start(port);
    const result = await one.result(off);
    assert.deepEqual([result.outcome, result.reason], [outcome, reason]);
    await one.session();
    const state = await one.run(meter, 'read_state', { within_ms: 30_000 });
    assert.equal(state.state, tripCount ? 'off' : 'on');
    assert.equal(one.trips(meter).length, tripCount);
    assert.equal(await claims(off), claimCount);
    assert.equal((await one.results(off)).length, 1);
  });

for (const point of ['ingest.after_take', 'ingest.before_result'])
  test(`killed at ${point}: a switch-on is done all the same`, async () => {
    const port = await freePort();
    const doomed = await start(port, { PENSTOCK_CRASH_POINT: point });
    const one = await line(doomed);
    const on = await one.issue(one.meters[0], 'switch_on');
    await withDeadline(doomed.exited, 10_000);
    await start(port);
    assert.deepEqual(await one.result(on, { within_ms: 30_000 }), { outcome: 'verified', reason: null, state: 'on' });
    assert.equal((await one.results(on)).length, 1);
  });

test('killed with a wanted read in hand: who asked is told that it failed', async () => {
  const port = await freePort();
  const doomed = await start(port, { PENSTOCK_CRASH_POINT: 'ingest.after_take' });
  const one = await line(doomed);
  const [meter] = one.meters;
  const id = randomUUID();
  await stack.query(
    `insert into api.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
     values ($1, $2, 'read-requests', 'read_requested', $3, 1, $4, now())`,
    [id, site.company, meter.num, { gateway: Number(one.gateway.num), meter: Number(meter.num), channel: Number(meter.channel), requested_by: 'test' }],
  );
  await stack.redis('XADD', 'read-requests', '*', 'e', id);
  await withDeadline(doomed.exited, 10_000);
  await start(port);
  const [told] = await waitFor(async () => {
    const found = await one.results(id);
    return found.length > 0 && found;
  }, { what: 'the end of the read', within_ms: 20_000 });
  assert.equal(told.reason, 'gateway_offline');
});

test('frozen between claim and frame until the deadline has passed: the meter does not obey', async () => {
  const port = await freePort();
  const frozen = await start(port, { PENSTOCK_CRASH_POINT: 'ingest.before_switch:1:stop' });
  const one = await line(frozen);
  const [meter] = one.meters;
  const off = await one.issue(meter, 'switch_off');
  await waitFor(async () => (await claims(off)) === 1, { what: 'the claim' });
  await sleep(500);
  await one.fault(meter, 'wrong_clock', 6 * 60_000); // as if six minutes had gone by
  assert.equal(one.trips(meter).length, 0);
  frozen.thaw();
  const trip = await waitFor(() => one.trips(meter)[0], { what: 'the frame' });
  assert.equal(trip.result, 'refused');
  assert.ok(Date.parse(trip.meter_clock) > Date.parse(trip.deadline));
  assert.equal((await one.shown(meter)).relay, 'closed');
  assert.equal((await one.result(off)).outcome, 'refused');
});

test('frozen while its gateway goes to another replica: the switch-off is unknown, the other serves on', async () => {
  const port = await freePort();
  const frozen = await start(port, { PENSTOCK_CRASH_POINT: 'ingest.after_claim:1:stop', PENSTOCK_REUSE_PORT: '1' });
  const one = await line(frozen);
  const [meter] = one.meters;
  const off = await one.issue(meter, 'switch_off');
  await waitFor(async () => (await claims(off)) === 1, { what: 'the claim' });
  const other = await start(await freePort());
  await one.fleet.killNow();
  await one.connect(other);
  await waitFor(() => stack.value('select epoch >= 2 from ingest.gateway_session where gateway_num = $1', [one.gateway.num]), { what: 'the new session', within_ms: 30_000 });
  const result = await one.result(off, { within_ms: 20_000 });
  assert.deepEqual([result.outcome, result.reason], ['unknown', 'session_lost']);
  assert.equal((await one.run(meter, 'switch_on')).outcome, 'verified');
  frozen.thaw();
  await sleep(2000);
  assert.equal(one.trips(meter).length, 0);
  assert.equal((await one.results(off)).length, 1);
  assert.equal((await one.shown(meter)).relay, 'closed');
});

test('a link that is cut with a switch-off on its way leaves it unknown; a switch-on is sent again', async () => {
  const port = await freePort();
  const one = await line(await start(port));
  const [meter] = one.meters;
  await one.fault(meter, 'slow', 2500);
  const off = await one.issue(meter, 'switch_off');
  await waitFor(() => one.trips(meter).length === 1, { what: 'the frame', within_ms: 20_000 });
  await one.disconnect();
  const result = await one.result(off);
  assert.deepEqual([result.outcome, result.reason], ['unknown', 'session_lost']);
  const on = await one.issue(meter, 'switch_on');
  await sleep(1000);
  assert.deepEqual(await one.results(on), []);
  await one.connect({ ports: { tcp: port } });
  assert.equal((await one.result(on, { within_ms: 30_000 })).outcome, 'verified');
  assert.equal(one.trips(meter).length, 1);
});

test('with two replicas the one with the session acts, whoever hears of the command', async () => {
  const replicas = [await start(await freePort()), await start(await freePort())];
  const all = [];
  for (const replica of replicas) all.push(await line(replica, 3));
  const issued = [];
  for (const one of all) for (const meter of one.meters) issued.push([one, meter, await one.issue(meter, 'switch_off')]);
  for (const [one, meter, off] of issued) {
    assert.deepEqual(await one.result(off), { outcome: 'verified', reason: null, state: 'off' });
    assert.equal(one.trips(meter).length, 1);
    assert.equal(await claims(off), 1);
  }
  await sleep(1500);
  for (const [one, , off] of issued) assert.equal((await one.results(off)).length, 1);
});

test('at random: no trip without its claim, none twice, none after its deadline, every command ends once', async () => {
  const seed = Number(process.env.SEED ?? randomInt(1, 2 ** 31));
  console.log(`# seed ${seed}`);
  let state = seed;
  const below = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % n;
  };
  const port = await freePort();
  let service = await start(port);
  const one = await line(service, 6);
  const offs = [];
  const commands = [];
  for (let step = 0; step < 60; step++) {
    const meter = one.meters[below(one.meters.length)];
    const chance = below(20);
    if (chance < 3) await one.fault(meter, ['lose_answer', 'ignore_command', 'stuck'][below(3)]);
    else if (chance < 5) await one.order({ do: 'clear' });
    else if (chance === 5) await one.order({ do: 'fault', fault: 'cut', gateway: one.gateway.registration, for_ms: 50 });
    else if (chance === 6 && step > 10) {
      await service.killNow();
      service = await start(port);
      await one.session();
    } else if (chance < 14) {
      const claim = below(4) === 0 ? { reason: 'payment_recent' } : undefined;
      const off = await one.issue(meter, 'switch_off', { claim, forMs: 20_000 });
      offs.push([meter, off, claim]);
      commands.push(off);
    } else commands.push(await one.issue(meter, 'switch_on', { forMs: 20_000 }));
    await sleep(below(150));
  }
  await one.order({ do: 'clear' });
  for (const command of commands) await one.result(command, { within_ms: 45_000 });
  await sleep(1500);
  for (const command of commands) assert.equal((await one.results(command)).length, 1, `seed ${seed}: ${command}`);
  let done = 0;
  for (const [meter, off, claim] of offs) {
    const num = await stack.value('select num from ingest.line_command where id = $1', [off]);
    const trips = one.trips(meter).filter((t) => BigInt(t.operator) === num);
    const [result] = await one.results(off);
    const claimed = claim ? 0 : await claims(off);
    assert.ok(trips.length <= claimed, `seed ${seed}: ${trips.length} trips, ${claimed} claims`);
    if (claim) assert.notEqual(result.outcome, 'verified', `seed ${seed}`);
    if (result.outcome === 'verified') assert.equal(trips.length, 1, `seed ${seed}: verified without a trip`);
    if (['refused', 'failed', 'expired'].includes(result.outcome) && ['meter_silent', 'gateway_offline', 'claim_failed', 'superseded'].includes(result.reason))
      assert.equal(trips.length, 0, `seed ${seed}: ${result.reason} after a trip`);
    for (const trip of trips) if (trip.result === 'done') assert.ok(Date.parse(trip.meter_clock) <= Date.parse(trip.deadline), `seed ${seed}`);
    done += trips.length;
  }
  assert.ok(done > 0, `seed ${seed}: nothing was ever switched off`);
});
