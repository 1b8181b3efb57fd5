// The loop of one supply: arrears, switch-off, payment, switch-on; what operators and customers ask for; and what happens
// when the line answers late, twice, not at all, or something else.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { HOUR, MINUTE, OPEN_POLICY, SECOND, Site } from './site.mjs';

let stack, control;
let count = 0;
before(async () => {
  stack = await startStack();
  await stack.query("select penstock.ensure_partitions((now() - interval '1 day')::date, (now() + interval '1 day')::date)");
  control = await stack.spawnService('control');
  await control.ready();
});
after(() => stack.stop());

const makeSite = (options) => Site.make(stack, { code: `sw-${++count}`, ...options });

test('arrears switch off, a payment switches on: each step is told', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  const off = await site.cut(point);
  assert.equal(off.cause, 'arrears');
  await site.setBalance(point, 20_000_000n);
  const on = await site.issued(point, 'switch_on');
  assert.ok(on.version > off.version);
  assert.ok(on.not_after - on.issued_at > 23 * HOUR);
  assert.ok(off.not_after - off.issued_at <= 5 * MINUTE);
  await site.finish(on, 'verified', { state: 'on' });
  await site.settled(point, 'on');
  const switched = await site.events('supply_switched', point);
  assert.deepEqual(switched.map((e) => [e.state, e.reason, Number(e.account)]), [['off', 'arrears', Number(point.account)], ['on', 'paid', Number(point.account)]]);
  const steps = (await site.events('supply_progress', point)).filter((e) => e.command === off.id).map((e) => e.state);
  assert.deepEqual(steps.sort(), ['issued', 'sent', 'verified']);
});

test('paid before the switch-off was claimed: the claim meets the newer version', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await site.setBalance(point, 5_000_000n);
  await site.issued(point, 'switch_on');
  assert.deepEqual(await site.claim(off), { claimed: false, reason: 'already_taken' });
  assert.equal((await site.commands(point, 'switch_off'))[0].state, 'superseded');
});

test('paid, and control has not heard of it yet: the claim reads the purse itself', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await site.setBalance(point, 5_000_000n, { tell: false });
  assert.deepEqual(await site.claim(off), { claimed: false, reason: 'not_in_arrears' });
  assert.equal((await site.refusals(point)).at(-1).command_id, off.id);
  // The refusal wakes control, which finds nothing to switch off any more.
  const row = await waitFor(async () => {
    const desired = await site.desired(point);
    return desired.state === 'on' && desired;
  }, { what: 'wanted on again' });
  assert.ok(row.version > off.version);
});

test('the classic race: off is sent, the customer pays, on is done, the off arrives last', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  assert.equal((await site.claim(off)).claimed, true);
  await site.setBalance(point, 5_000_000n);
  const on = await site.issued(point, 'switch_on');
  await site.finish(on, 'verified', { state: 'on', at: Date.now() });
  await site.settled(point, 'on');
  // The gateway carries the old frame out after all: first the answer, then what the next poll sees.
  await site.finish(off, 'verified', { state: 'off', at: Date.now() + 10 });
  const again = await site.issued(point, 'switch_on');
  assert.notEqual(again.id, on.id);
  await site.finish(again, 'verified', { state: 'on', at: Date.now() + 20 });
  await site.settled(point, 'on');
  await sleep(20);
  await site.observe(point, 'off', Date.now() + 30);
  const third = await site.issued(point, 'switch_on');
  await site.finish(third, 'verified', { state: 'on', at: Date.now() + 60 });
  await site.settled(point, 'on');
  assert.equal((await site.commands(point, 'switch_off')).length, 1);
});

test('a claim happens once, whoever asks, and only for what it was issued for', async () => {
  const site = await makeSite();
  const other = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  assert.deepEqual(await site.claim(randomUUID()), { claimed: false, reason: 'unknown_command' });
  assert.deepEqual(await other.claim(off), { claimed: false, reason: 'unknown_command' });
  await assert.rejects(site.claim(off, Date.now(), { company: other.company }), /company of the transaction/);
  const answers = await Promise.all(Array.from({ length: 8 }, () => site.claim(off)));
  assert.equal(answers.filter(({ claimed }) => claimed).length, 1);
  assert.ok(answers.filter(({ claimed }) => !claimed).every(({ reason }) => reason === 'already_taken'));
  assert.equal((await site.commands(point, 'switch_off'))[0].state, 'sent');
});

test('a claim that is rolled back was none', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await assert.rejects(site.asIngest(async (client) => {
    assert.equal((await client.query('select claimed from control.claim_switch_off($1, $2, $3)', [site.company, off.id, new Date()])).rows[0].claimed, true);
    throw new Error('the session is gone');
  }), /session is gone/);
  assert.equal((await site.claim(off)).claimed, true);
});

test('a switch-off dies after its time, and an old snapshot may not claim', async () => {
  const site = await makeSite();
  const [late, early, snapshot] = await site.addPoints(3);
  for (const point of [late, early, snapshot]) await site.setBalance(point, -1n);
  assert.deepEqual(await site.claim(await site.issued(late, 'switch_off'), Date.now() + 5 * MINUTE + SECOND), { claimed: false, reason: 'expired' });
  assert.deepEqual(await site.claim(await site.issued(early, 'switch_off'), Date.now() - 6 * MINUTE), { claimed: false, reason: 'expired' });
  const off = await site.issued(snapshot, 'switch_off');
  await assert.rejects(site.asIngest(async (client) => {
    await client.query('rollback');
    await client.query('begin isolation level repeatable read');
    await client.query("select set_config('app.company', $1, true)", [String(site.company)]);
    await client.query('select * from control.claim_switch_off($1, $2, $3)', [site.company, off.id, new Date()]);
  }), /read committed/);
});

test('no result: the state is asked for, and a switch-off is never sent twice', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await site.claim(off);
  await site.finish(off, 'unknown', { reason: 'session_lost' });
  const look = await site.issued(point, 'read_state');
  assert.equal((await site.commands(point, 'switch_off'))[0].state, 'unknown');
  // Seen on while the frame may still be carried out: it stays unknown.
  await site.finish(look, 'verified', { state: 'on' });
  await waitFor(async () => (await site.desired(point)).observed === 'on', { what: 'the look' });
  await sleep(300);
  assert.deepEqual((await site.commands(point, 'switch_off')).map((c) => c.state), ['unknown']);
  // Past its deadline and still on: it had no effect; the rule decides anew, under a new version.
  await site.observe(point, 'off', Date.now() + 50);
  await site.settled(point, 'off');
  assert.deepEqual((await site.commands(point, 'switch_off')).map((c) => c.state), ['verified']);
});

test('an end that stays unknown is settled by a look past the deadline', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await site.claim(off);
  await site.finish(off, 'unknown');
  await site.issued(point, 'read_state');
  await stack.query("update control.command set sent_at = sent_at - interval '10 minutes' where id = $1", [off.id]);
  await site.observe(point, 'on');
  const second = await site.issued(point, 'switch_off');
  assert.ok(second.version > off.version);
  assert.deepEqual((await site.commands(point, 'switch_off')).map((c) => c.state), ['failed', 'issued']);
});

test('the gateway is offline: the switch-off dies, and is decided anew when it is back', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await sleep(2500); // an edit of the company is a reason to look again: let those that made the site be taken first
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await site.finish(off, 'failed', { reason: 'gateway_offline' });
  await site.refused(point, 'gateway_offline');
  const waiting = await site.desired(point);
  assert.equal(waiting.state, 'on');
  assert.equal(waiting.waits_for, 'gateway_offline');
  await sleep(600);
  assert.equal((await site.commands(point, 'switch_off')).length, 1);
  await site.tell('ingest', 'device-events', 'gateway_back', site.gateway, 1, { gateway: site.gateway, property: site.property, since: new Date().toISOString() });
  const second = await site.issued(point, 'switch_off');
  assert.ok(second.version > off.version);
});

test('a switch-on that fails is ordered again until it is read back', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.cut(point);
  await site.setBalance(point, 20_000_000n);
  const first = await site.issued(point, 'switch_on');
  await site.finish(first, 'failed', { reason: 'no_answer' });
  await waitFor(async () => (await site.commands(point, 'switch_on'))[0].state === 'failed', { what: 'the failure' });
  await stack.query('update control.desired set watch_at = now() where company_id = $1', [site.company]);
  const second = await site.issued(point, 'switch_on');
  await site.finish(second, 'verified', { state: 'off' });
  await waitFor(async () => (await site.commands(point, 'switch_on'))[1].state === 'failed', { what: 'read back off is no success' });
  await stack.query('update control.desired set watch_at = now() where company_id = $1', [site.company]);
  await site.finish(await site.issued(point, 'switch_on'), 'verified', { state: 'on', at: Date.now() + 10 });
  await site.settled(point, 'on');
});

test('results that come twice, late and out of order change nothing that is known better', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await site.claim(off);
  const at = Date.now();
  const id = await site.finish(off, 'verified', { state: 'off', at });
  const settled = await site.settled(point, 'off');
  await site.ring('command-results', id);
  await site.finish(off, 'unknown', { at: at + 5 });
  await site.finish(off, 'failed', { reason: 'no_answer', at: at + 6 });
  await site.observe(point, 'on', at - HOUR);
  const stray = await site.tell('ingest', 'command-results', 'command_finished', 1, 1, { command: randomUUID(), meter: 1, channel: 1, outcome: 'verified', reason: null, state: 'on', at: new Date().toISOString() });
  const odd = await site.tell('ingest', 'command-results', 'command_finished', 1, 1, { command: off.id, meter: 1, channel: 1, outcome: 'splendid', reason: null, state: 'on', at: new Date().toISOString() });
  await waitFor(async () => (await stack.value('select count(*)::int from control.inbox where event_id = any($1) and refused is not null', [[stray, odd]])) === 2, { what: 'both buried with their reasons' });
  const row = await site.desired(point);
  assert.deepEqual([row.state, row.version, row.observed], ['off', settled.version, 'off']);
  assert.equal((await site.commands(point)).length, 1);
  assert.equal((await site.events('supply_switched', point)).length, 1);
});

test('somebody switched by hand: on again where it shall be on, decided anew where it shall be off', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  const off = await site.cut(point);
  await site.observe(point, 'on', Date.now() + 10);
  const second = await site.issued(point, 'switch_off');
  assert.ok(second.version > off.version);
  await site.claim(second);
  await site.finish(second, 'verified', { state: 'off', at: Date.now() + 20 });
  await site.settled(point, 'off');
  // Nobody ever switched this one: its state is noted and nothing is done.
  const untouched = await site.addPoint();
  await site.observe(untouched, 'off');
  await waitFor(async () => (await site.desired(untouched))?.observed === 'off', { what: 'noted' });
  await sleep(400);
  assert.deepEqual(await site.commands(untouched), []);
});

test('its own protection or schedule opened it: nobody closes against it', async () => {
  const site = await makeSite();
  const [overloaded, scheduled] = await site.addPoints(2);
  for (const point of [overloaded, scheduled]) {
    await site.cut(point);
    await site.setBalance(point, 20_000_000n);
    await site.finish(await site.issued(point, 'switch_on'), 'verified', { state: 'on', at: Date.now() + 5 });
    await site.settled(point, 'on');
  }
  await site.setPolicy({ schedule: [{ at: '00:00', do: 'off' }] }, scheduled);
  await site.tell('ingest', 'device-events', 'device_alarm', overloaded.channel, 1, { channel: overloaded.channel, meter: overloaded.meter, property: site.property, kind: 'overload', value: 12400, at: new Date(Date.now() + SECOND).toISOString() });
  await waitFor(async () => (await stack.value('select count(*)::int from control.alarm where usage_point_num = $1', [overloaded.num])) === 1, { what: 'the alarm' });
  for (const point of [overloaded, scheduled]) await site.observe(point, 'off', Date.now() + 2 * SECOND);
  for (const point of [overloaded, scheduled]) await waitFor(async () => (await site.desired(point)).observed === 'off', { what: 'seen off' });
  await sleep(500);
  for (const point of [overloaded, scheduled]) assert.equal((await site.commands(point, 'switch_on')).length, 1);
});

test('operators: off holds against a payment, on holds against arrears, resume gives back to the rule', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  const asked = await site.request(point, 'off');
  const off = await site.issued(point, 'switch_off');
  assert.equal(off.cause, 'operator');
  assert.equal(off.request_id, asked);
  assert.equal((await site.claim(off)).claimed, true);
  await site.finish(off, 'verified', { state: 'off' });
  await site.settled(point, 'off');
  assert.deepEqual(await site.requestState(asked), { state: 'done', outcome: 'off' });
  await site.setBalance(point, 50_000_000n);
  await sleep(400);
  assert.equal((await site.desired(point)).state, 'off');
  const wanted = await site.request(point, 'on');
  await site.finish(await site.issued(point, 'switch_on'), 'verified', { state: 'on', at: Date.now() + 5 });
  await site.settled(point, 'on');
  assert.equal((await site.requestState(wanted)).state, 'done');
  await site.setBalance(point, -1n);
  await sleep(400);
  assert.equal((await site.commands(point, 'switch_off')).length, 1);
  await site.request(point, 'resume_prepaid');
  assert.equal((await site.issued(point, 'switch_off')).cause, 'arrears');
});

test('an operator asks in vain: the gateway is offline, and his wish ends with it', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  const asked = await site.request(point, 'off');
  await site.finish(await site.issued(point, 'switch_off'), 'failed', { reason: 'gateway_offline' });
  await waitFor(async () => (await site.requestState(asked)).state === 'failed', { what: 'the request failed' });
  const row = await site.desired(point);
  assert.deepEqual([row.state, row.hold], ['on', null]);
  await site.tell('ingest', 'device-events', 'gateway_back', site.gateway, 1, { gateway: site.gateway, property: site.property, since: new Date().toISOString() });
  await sleep(600);
  assert.equal((await site.commands(point, 'switch_off')).length, 1);
});

test('force-on: nothing cuts it, the meter is told, and its end gives back to the rule', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await site.cut(point);
  const forced = await site.request(point, 'force_on', { until: Date.now() + HOUR });
  const on = await site.issued(point, 'switch_on');
  await site.issued(point, 'keep_power');
  await site.finish(on, 'verified', { state: 'on', at: Date.now() + 5 });
  await site.settled(point, 'on');
  assert.equal((await site.requestState(forced)).state, 'done');
  const refused = await site.request(point, 'off');
  await waitFor(async () => (await site.requestState(refused))?.state === 'refused', { what: 'refused' });
  assert.equal((await site.requestState(refused)).outcome, 'force_on');
  await site.setBalance(point, -2n);
  await sleep(400);
  assert.equal((await site.commands(point, 'switch_off')).length, 1);
  // Its time is over.
  await stack.query("update control.force_on set from_at = now() - interval '2 hours', until_at = now() - interval '1 second' where company_id = $1", [site.company]);
  const off = await site.issued(point, 'switch_off');
  assert.ok(off.version > on.version);
  const released = await site.request(point, 'release_force_on');
  await waitFor(async () => (await site.requestState(released))?.state === 'refused', { what: 'there is nothing to release' });
});

test('customers: their own supply where the property allows it, and not against arrears', async () => {
  const site = await makeSite({ policy: { ...OPEN_POLICY, self_switch_allowed: true } });
  const point = await site.addPoint();
  const me = `customer:${site.customer}`;
  const stranger = await site.request(point, 'off', { by: 'customer:999999' });
  await waitFor(async () => (await site.requestState(stranger))?.outcome === 'not_allowed', { what: 'a stranger is refused' });
  const mine = await site.request(point, 'off', { by: me });
  const off = await site.issued(point, 'switch_off');
  assert.equal(off.cause, 'customer');
  await site.claim(off);
  await site.finish(off, 'verified', { state: 'off' });
  await site.settled(point, 'off');
  assert.equal((await site.requestState(mine)).state, 'done');
  await site.setBalance(point, -1n);
  await sleep(200);
  const owing = await site.request(point, 'on', { by: me });
  await waitFor(async () => (await site.requestState(owing))?.outcome === 'in_arrears', { what: 'not against arrears' });
  await site.setBalance(point, 9_000_000n);
  await site.request(point, 'on', { by: me });
  await site.finish(await site.issued(point, 'switch_on'), 'verified', { state: 'on', at: Date.now() + 5 });
  await site.settled(point, 'on');
  const forbidden = await site.request(point, 'force_on', { by: me });
  await waitFor(async () => (await site.requestState(forbidden))?.outcome === 'not_allowed', { what: 'force-on is for operators' });
  // An operator's switch-off is not his to undo.
  await site.request(point, 'off');
  const second = await site.issued(point, 'switch_off');
  await site.claim(second);
  await site.finish(second, 'verified', { state: 'off', at: Date.now() + 10 });
  await site.settled(point, 'off');
  const undo = await site.request(point, 'on', { by: me });
  await waitFor(async () => (await site.requestState(undo))?.outcome === 'held_by_operator', { what: 'held' });
});

test('forged requests: nobody, a disabled operator, another company, and an unknown action have no effect', async () => {
  const site = await makeSite();
  const other = await makeSite();
  const point = await site.addPoint();
  await stack.query("update core.operator set disabled_at = now() where num = $1", [site.operators[2]]);
  const before = await stack.value('select count(*)::int from control.inbox where refused is not null');
  for (const by of ['', 'root', 'operator:0', `operator:${other.operators[0]}`, `operator:${site.operators[2]}`, 'operator:1 or 1=1', 'cli:me']) await site.request(point, 'off', { by });
  await site.request(await other.addPoint(), 'off');
  await site.request(point, 'explode');
  await waitFor(async () => (await stack.value('select count(*)::int from control.inbox where refused is not null')) === before + 9, { what: 'all nine buried' });
  assert.deepEqual(await site.commands(point), []);
  assert.equal(await stack.value('select count(*)::int from control.request where company_id = $1', [site.company]), 0);
  // A forged doorbell names no row of an outbox.
  await site.ring('control-requests', randomUUID());
  await site.ring('balances', 'x');
  await site.request(point, 'read_state');
  await site.issued(point, 'read_state');
});

test('a standing refusal is one row that counts; another reason is another row', async () => {
  const site = await makeSite({ policy: { ...OPEN_POLICY, warning_required: true, warning_min_age_s: 0 } });
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  await site.refused(point, 'no_warning');
  for (let i = 0; i < 3; i++) {
    const { times } = (await site.refusals(point)).at(-1);
    await stack.query('update control.desired set watch_at = now() where usage_point_num = $1', [point.num]);
    await waitFor(async () => (await site.refusals(point)).at(-1).times > times, { what: 'looked at again' });
  }
  assert.equal((await site.refusals(point)).length, 1);
  assert.equal((await site.events('supply_refused', point)).length, 1);
  await site.setPolicy({ cut_windows: [] });
  await site.refused(point, 'outside_window');
  assert.equal((await site.refusals(point)).length, 2);
});

test('a policy, a fresh reading and a window wake what waits', async () => {
  const site = await makeSite({ policy: { ...OPEN_POLICY, prepaid_rule: false } });
  const point = await site.addPoint({ readAt: Date.now() - 9 * HOUR });
  await site.setBalance(point, -1n);
  await sleep(300);
  assert.deepEqual(await site.commands(point), []);
  await site.setPolicy({ prepaid_rule: true });
  await site.refused(point, 'stale_reading');
  await stack.query('update billing.point set last_at = now() where num = $1', [point.num]);
  await site.issued(point, 'switch_off', { within_ms: 15_000 });
  await site.setPolicy({ prepaid_rule: false });
  await waitFor(async () => (await site.desired(point)).state === 'on', { what: 'the rule is gone, and so is what it wanted' });
});
