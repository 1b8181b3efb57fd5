// Commands on the line: a real service, the simulated fleet's meters, control played by the test.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Line, playControl } from './line.mjs';
import { Site, push, reading } from './site.mjs';

let stack, site, service;
const lines = [];

before(async () => {
  stack = await startStack();
  await playControl(stack);
  site = await Site.create(stack, { pollSeconds: 3600 });
  service = await stack.spawnService('ingest', { PENSTOCK_INGEST_RELAY_WAIT_S: '2', PENSTOCK_INGEST_VALVE_WAIT_S: '8' });
  await service.ready();
});
after(async () => {
  for (const one of lines) await one.end();
  await stack?.stop();
});

async function line(meters = [{}], options = {}) {
  const made = await Line.create(site, meters, options);
  lines.push(made);
  if (options.connect !== false) await made.connect(service);
  return made;
}

const DONE = (state) => ({ outcome: 'verified', reason: null, state });
const claims = (command) => stack.value('select count(*)::integer from control.claim_call where command = $1', [command]);

test('a switch-off is claimed, sent once with a deadline by the meter clock, and read back; a switch-on brings it back', async () => {
  const one = await line([{ clock_offset_ms: -3 * 3600_000 }]);
  const [meter] = one.meters;
  const off = await one.issue(meter, 'switch_off');
  assert.deepEqual(await one.result(off), DONE('off'));
  assert.equal(await claims(off), 1);
  const [trip, ...more] = one.trips(meter);
  assert.equal(more.length, 0);
  assert.equal(trip.result, 'done');
  const left = Date.parse(trip.deadline) - Date.parse(trip.meter_clock);
  assert.ok(left > 290_000 && left <= 300_000, `${left} ms`);
  assert.equal(BigInt(trip.operator), await stack.value('select num from ingest.line_command where id = $1', [off]));
  assert.equal((await one.shown(meter)).relay, 'open');
  const seen = await waitFor(async () => (await one.deviceEvents(meter, 'supply_observed')).at(-1), { what: 'supply_observed' });
  assert.equal(seen.state, 'off');
  assert.deepEqual([seen.channel, seen.meter, seen.property].map(Number), [meter.channel, meter.num, site.property].map(Number));
  const begun = Date.now();
  assert.deepEqual(await one.run(meter, 'switch_on'), DONE('on'));
  assert.ok(Date.now() - begun < 5000);
  assert.equal((await one.shown(meter)).relay, 'closed');
  await waitFor(async () => (await one.deviceEvents(meter, 'supply_observed')).at(-1).state === 'on', { what: 'supply_observed' });
  assert.equal((await one.deviceEvents(meter, 'supply_observed')).length, 2);
});

test('a switch-off that control withholds is not sent, and says why', async () => {
  const one = await line();
  const off = await one.issue(one.meters[0], 'switch_off', { claim: { reason: 'payment_recent' } });
  assert.deepEqual(await one.result(off), { outcome: 'refused', reason: 'payment_recent', state: null });
  assert.equal(await claims(off), 1);
  assert.equal(one.trips(one.meters[0]).length, 0);
  assert.ok((await service.metric('penstock_ingest_switch_offs_refused_total')) >= 1);
});

test('a claim that cannot be had is a no', async () => {
  const one = await line();
  const off = await one.issue(one.meters[0], 'switch_off', { claim: { delay_s: 20 } });
  assert.deepEqual(await one.result(off), { outcome: 'failed', reason: 'claim_failed', state: null });
  assert.equal(await claims(off), 0);
  assert.equal(one.trips(one.meters[0]).length, 0);
});

test('without its gateway a switch-off dies and a switch-on waits', async () => {
  const one = await line([{}, {}], { connect: false });
  const [dark, other] = one.meters;
  await sleep(1500);
  assert.deepEqual(await one.run(dark, 'switch_off'), { outcome: 'failed', reason: 'gateway_offline', state: null });
  const first = await one.issue(dark, 'switch_on', { version: 1_000_001 });
  const second = await one.issue(dark, 'switch_on', { version: 1_000_002 });
  const late = await one.issue(other, 'switch_on', { forMs: 2500 });
  assert.deepEqual(await one.result(first), { outcome: 'failed', reason: 'superseded', state: null });
  assert.deepEqual(await one.result(late), { outcome: 'expired', reason: 'expired', state: null });
  assert.deepEqual(await one.results(second), []);
  await one.connect(service);
  assert.deepEqual(await one.result(second), DONE('on'));
  const older = await one.issue(dark, 'switch_off', { version: 1_000_000 });
  assert.deepEqual(await one.result(older), { outcome: 'failed', reason: 'superseded', state: null });
  assert.equal(one.trips(dark).length, 0);
});

for (const [what, spec, operation, wanted] of [
  ['another password', { password: '02112233', told: '02998877' }, 'switch_off', { outcome: 'refused', reason: 'not_authorised', state: 'on' }],
  ['no password', { told: null }, 'switch_off', { outcome: 'refused', reason: 'no_password', state: null }],
  ['a password that is none', { told: 'secret' }, 'switch_on', { outcome: 'refused', reason: 'no_password', state: null }],
  ['no relay', { kind: 'none' }, 'switch_off', { outcome: 'refused', reason: 'no_switch', state: null }],
  ['a clock that was lost', { clock_offset_ms: -20 * 365 * 86_400_000 }, 'switch_off', { outcome: 'refused', reason: 'meter_clock', state: null }],
  ['a clock of another day', { clock_offset_ms: 3 * 86_400_000 }, 'switch_on', { outcome: 'refused', reason: 'meter_clock', state: null }],
])
  test(`a meter with ${what} is not switched`, async () => {
    const one = await line([spec]);
    assert.deepEqual(await one.run(one.meters[0], operation), wanted);
    assert.equal((await one.shown(one.meters[0])).relay, 'closed');
    assert.equal(one.trips(one.meters[0]).filter((t) => t.result === 'done').length, 0);
    const { rows } = await stack.query('select * from ingest.line_command where meter_num = $1', [one.meters[0].num]);
    assert.doesNotMatch(JSON.stringify(rows, (k, v) => (typeof v === 'bigint' ? String(v) : v)), /112233|998877/);
  });

test('a gateway without a way down, an unknown meter, and words that make no sense are refused', async () => {
  const one = await line();
  const pushing = await site.addPushGateway();
  const pushed = await site.addMeter(pushing, '300000000001');
  await sleep(1500);
  const payload = { gateway: Number(pushing.num) };
  assert.deepEqual(await one.run(pushed, 'switch_on', { payload }), { outcome: 'refused', reason: 'no_downlink', state: null });
  assert.deepEqual(await one.run(one.meters[0], 'switch_on', { payload: { meter: 999_999 } }), { outcome: 'refused', reason: 'unknown_meter', state: null });
  assert.deepEqual(await one.run(one.meters[0], 'switch_on', { payload: { channel: 999_999 } }), { outcome: 'refused', reason: 'unknown_channel', state: null });
  for (const wrong of [
    { operation: 'explode' },
    { operation: 'read_now' },
    { operation: 'set_parameters', parameters: {} },
    { operation: 'set_parameters', parameters: { overload_w: -1 } },
    { operation: 'set_parameters', parameters: { overload_w: 100_000 } },
    { operation: 'set_parameters', parameters: { alarm_1_micro: 5001 } },
    { operation: 'set_parameters', parameters: { volume: 11 } },
    { operation: 'set_parameters', parameters: { schedule: [{ at: '24:00', do: 'on' }] } },
    { operation: 'set_parameters', parameters: { schedule: [{ at: '08:00', do: 'maybe' }] } },
    { operation: 'set_parameters', parameters: { schedule: Array(9).fill({ at: '08:00', do: 'on' }) } },
  ])
    assert.deepEqual(await one.run(one.meters[0], 'x', { payload: wrong }), { outcome: 'refused', reason: 'bad_command', state: null }, JSON.stringify(wrong));
  const event = randomUUID();
  await one.issue(one.meters[0], 'switch_on', { event, payload: { command: 'none' } });
  const why = await waitFor(() => stack.value('select refused from ingest.inbox where event_id = $1', [event]), { what: 'the dead letter' });
  assert.match(why, /command is not a UUID|\/command/);
});

test('a command told twice is done once', async () => {
  const one = await line();
  const command = randomUUID();
  await one.issue(one.meters[0], 'switch_off', { command, version: 5 });
  await one.issue(one.meters[0], 'switch_off', { command, version: 5 });
  assert.deepEqual(await one.result(command), DONE('off'));
  await sleep(1500);
  assert.equal((await one.results(command)).length, 1);
  assert.equal(one.trips(one.meters[0]).length, 1);
});

// Mostly waiting, each on a line of its own.
describe('side by side', { concurrency: 5 }, () => {
  test('a lost answer is no failure: what the status word shows decides', async () => {
    const one = await line();
    await one.fault(one.meters[0], 'lose_answer');
    assert.deepEqual(await one.run(one.meters[0], 'switch_off'), DONE('off'));
    assert.equal(one.trips(one.meters[0]).length, 1, 'never sent again');
  });

  test('a meter that does not answer is not switched off, and switched on once it answers', async () => {
    const one = await line([{}, {}]);
    const [silent, other] = one.meters;
    await one.fault(silent, 'silent');
    const off = await one.issue(silent, 'switch_off');
    assert.deepEqual(await one.result(off, { within_ms: 30_000 }), { outcome: 'failed', reason: 'meter_silent', state: null });
    assert.equal(await claims(off), 0);
    assert.deepEqual(await one.run(other, 'switch_off'), DONE('off'));
    const on = await one.issue(silent, 'switch_on');
    await sleep(4000);
    assert.deepEqual(await one.results(on), []);
    await one.order({ do: 'clear' });
    assert.deepEqual(await one.result(on, { within_ms: 30_000 }), DONE('on'));
  });

  test('a command that is acknowledged and not done is told as such', async () => {
    const one = await line();
    const [meter] = one.meters;
    await one.fault(meter, 'ignore_command');
    assert.deepEqual(await one.run(meter, 'switch_off'), { outcome: 'failed', reason: 'not_obeyed', state: 'on' });
    assert.equal(one.trips(meter).length, 1);
    assert.deepEqual((await one.deviceEvents(meter, 'device_alarm')).map((e) => e.kind), ['not_obeyed']);
    await one.order({ do: 'clear' });
    await one.fault(meter, 'stuck');
    assert.deepEqual(await one.run(meter, 'switch_off'), { outcome: 'failed', reason: 'not_obeyed', state: 'stuck' });
    assert.equal((await one.shown(meter)).relay, 'closed');
    await one.order({ do: 'clear' });
  });

  test('a switch-on that is not obeyed goes on until it is read back', async () => {
    const one = await line();
    const [meter] = one.meters;
    assert.deepEqual(await one.run(meter, 'switch_off'), DONE('off'));
    await one.fault(meter, 'ignore_command');
    const on = await one.issue(meter, 'switch_on');
    await waitFor(() => one.truth(meter, 'control').filter((c) => c.operation === '1C').length >= 2, { what: 'a second try', within_ms: 20_000 });
    assert.deepEqual(await one.results(on), []);
    await one.order({ do: 'clear' });
    assert.deepEqual(await one.result(on, { within_ms: 20_000 }), DONE('on'));
    assert.equal((await one.deviceEvents(meter, 'device_alarm')).length, 1, 'one alarm, not one a try');
  });

  test('a relay that is open while power flows is told as stuck', async () => {
    const one = await line();
    const [meter] = one.meters;
    await one.fault(meter, 'bridged');
    await one.fault(meter, 'extra_load', 500);
    assert.deepEqual(await one.run(meter, 'switch_off'), { outcome: 'failed', reason: 'load_flows', state: 'stuck' });
    assert.equal(one.trips(meter).length, 1);
    assert.deepEqual((await one.deviceEvents(meter, 'device_alarm')).map((e) => e.kind), ['not_obeyed']);
  });

  test('close allowed waits for the key; keep-power bars a trip until it is released', async () => {
    const one = await line();
    const [meter] = one.meters;
    assert.deepEqual(await one.run(meter, 'switch_off'), DONE('off'));
    assert.deepEqual(await one.run(meter, 'close_allow'), DONE('off'));
    await one.order({ do: 'press_key', meter: meter.address });
    assert.deepEqual(await one.run(meter, 'read_state'), DONE('on'));
    assert.deepEqual(await one.run(meter, 'keep_power'), DONE('on'));
    assert.deepEqual(await one.run(meter, 'switch_off'), { outcome: 'refused', reason: 'other', state: 'on' });
    assert.deepEqual(await one.run(meter, 'release_keep_power'), DONE('on'));
    assert.deepEqual(await one.run(meter, 'switch_off'), DONE('off'));
  });

  test('a valve is waited for without holding the bus; one that sticks is told as stuck', async () => {
    const one = await line([{ kind: 'valve', travel_ms: 4000 }, {}]);
    const [valve, meter] = one.meters;
    const begun = Date.now();
    const off = await one.issue(valve, 'switch_off');
    await waitFor(() => one.trips(valve).length === 1, { what: 'the command' });
    assert.deepEqual(await one.run(meter, 'switch_off'), DONE('off'));
    assert.ok(Date.now() - begun < 4000, 'meanwhile another meter was switched');
    assert.deepEqual(await one.result(off), DONE('off'));
    assert.ok(Date.now() - begun >= 4000);
    const states = (await one.deviceEvents(valve, 'supply_observed')).map((e) => e.state);
    assert.equal(states[0], 'closing');
    await waitFor(async () => (await one.deviceEvents(valve, 'supply_observed')).at(-1).state === 'off', { what: 'off' });
    await one.fault(valve, 'stuck');
    const on = await one.issue(valve, 'switch_on', { forMs: 13_000 });
    await waitFor(async () => (await one.deviceEvents(valve, 'device_alarm')).length === 1, { what: 'the alarm', within_ms: 20_000 });
    assert.equal((await one.deviceEvents(valve, 'supply_observed')).at(-1).state, 'opening');
    await one.order({ do: 'clear' });
    assert.deepEqual(await one.result(on, { within_ms: 20_000 }), DONE('on'));
  });

  test('a newer command ends the wait for an older one that is still on its way', async () => {
    const one = await line([{ kind: 'valve', travel_ms: 5000 }]);
    const [valve] = one.meters;
    const off = await one.issue(valve, 'switch_off');
    await waitFor(() => one.trips(valve).length === 1, { what: 'the command' });
    const on = await one.issue(valve, 'switch_on');
    assert.deepEqual(await one.result(off), { outcome: 'unknown', reason: 'superseded', state: 'closing' });
    assert.deepEqual(await one.result(on), DONE('on'));
  });

  const PARAMETERS = {
    overload_w: 3500,
    overload_recoveries: 3,
    malicious_w: 800,
    alarm_1_micro: 50_000_000,
    alarm_2_micro: 20_000_000,
    schedule: [{ at: '08:00', do: 'on' }, { at: '22:30', do: 'off' }],
  };

  test('parameters are written, read back, and a meter that keeps others is told', async () => {
    const one = await line([{}, {}]);
    const [meter, stubborn] = one.meters;
    assert.deepEqual(await one.run(meter, 'set_parameters', { parameters: PARAMETERS }), DONE(null));
    // What is there already is not written again: thirteen questions, where a poll did not come between.
    const requests = async () => (await one.order({ do: 'status' })).requests;
    const asked = [];
    while (asked.length < 4 && asked.at(-1) !== 13) {
      const begun = await requests();
      assert.deepEqual(await one.run(meter, 'set_parameters', { parameters: PARAMETERS }), DONE(null));
      asked.push((await requests()) - begun);
    }
    assert.equal(asked.at(-1), 13, `${asked}`);
    assert.deepEqual(await one.run(meter, 'set_parameters', { parameters: { schedule: [] } }), DONE(null));
    await one.fault(stubborn, 'ignore_command');
    assert.deepEqual(await one.run(stubborn, 'set_parameters', { parameters: PARAMETERS }), { outcome: 'failed', reason: 'parameter_mismatch', state: null });
    assert.deepEqual((await one.deviceEvents(stubborn, 'device_alarm')).map((e) => e.kind), ['parameter_mismatch']);
  });

  test('an overload and a heater are told by the status words of the next poll', async () => {
    const one = await line([{}, {}], { poll: 5 });
    const [meter, dorm] = one.meters;
    assert.deepEqual(await one.run(meter, 'set_parameters', { parameters: { overload_w: 5000 } }), DONE(null));
    assert.deepEqual(await one.run(dorm, 'set_parameters', { parameters: { malicious_w: 500 } }), DONE(null));
    await one.fault(meter, 'extra_load', 9000);
    await one.fault(dorm, 'malicious_load', 900);
    for (const [who, kind] of [[meter, 'overload'], [dorm, 'malicious_load']]) {
      const alarm = await waitFor(async () => (await one.deviceEvents(who, 'device_alarm'))[0], { what: kind, within_ms: 20_000 });
      assert.equal(alarm.kind, kind);
      const seen = await waitFor(async () => (await one.deviceEvents(who, 'supply_observed'))[0], { what: 'supply_observed', within_ms: 20_000 });
      assert.equal(seen.state, 'off');
    }
    await sleep(6000);
    assert.equal((await one.deviceEvents(meter, 'device_alarm')).length, 1, 'told when it rises, not at each poll');
  });

  test('a status word that is pushed tells a changed supply and an overload like one that is polled', async () => {
    const gateway = await site.addPushGateway();
    const meter = await site.addMeter(gateway, '300000000007');
    const events = (type) => stack.query('select payload from ingest.outbox where type = $1 and subject_num = $2 order by created_at, event_id', [type, meter.channel]);
    await waitFor(async () => (await push(service, gateway, { readings: [] })).status === 200, { what: 'the gateway is known', within_ms: 5000 });
    for (const [word3, word4] of [['80', '32'], ['80', '32'], ['0', '0']]) {
      const now = new Date().toISOString();
      const answer = await push(service, gateway, {
        readings: [reading(meter, word3, { register: 'status_word_3', unit: '', read_at: now }), reading(meter, word4, { register: 'status_word_4', unit: '', read_at: now })],
      });
      assert.equal(answer.status, 200, answer.body);
      await sleep(1300);
    }
    assert.deepEqual((await events('supply_observed')).rows.map((row) => row.payload.state), ['off', 'on']);
    assert.deepEqual((await events('device_alarm')).rows.map((row) => row.payload.kind), ['overload']);
  });
});

test('light goes ahead of everything: a full bus of slow meters does not hold up a switch-on', async () => {
  const one = await Line.create(site, Array(12).fill({}), { poll: 5 });
  lines.push(one);
  await one.connect(service, { answer_ms: 150 });
  await sleep(3000);
  const waits = [];
  for (const meter of one.meters.slice(0, 6)) {
    const begun = Date.now();
    assert.deepEqual(await one.run(meter, 'switch_on'), DONE('on'));
    waits.push(Date.now() - begun);
  }
  assert.ok(Math.max(...waits) < 5000, `${waits} ms`);
});
