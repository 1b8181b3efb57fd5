// Supplies on the screens: what is wanted, seen and refused, and operators' wishes with control behind them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../../support/wait.mjs';
import { World, assertProblem } from './world.mjs';

let world, stack, manager, viewer, stranger, company, point;

before(async () => {
  world = await World.create({ services: ['billing', 'api', 'control'] });
  stack = world.stack;
  company = await world.companyNum('haigang');
  [manager, viewer, stranger] = await Promise.all([world.logIn('haigang'), world.logIn('haigang', 'viewer'), world.logIn('xuefu')]);
  [point] = (await stack.query(
    `select up.id, up.num, up.property_num from core.usage_point up join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num
     where up.company_id = $1 and h.to_at is null and up.utility = 'electricity' order by up.num limit 1`, [company])).rows;
});
after(() => world?.stop());

const key = () => randomBytes(12).toString('hex');
const path = () => `/api/v1/usage-points/${point.id}/supply`;
const wish = (who, action, more = {}, idempotency = key()) => who.post(path(), { action, reason: 'for the test', ...more }, { 'idempotency-key': idempotency });
const ended = (id) => waitFor(async () => {
  const { data } = await viewer.get(`/api/v1/supply-requests/${id}`);
  return data.state === 'new' ? null : data;
}, { what: 'the wish considered', within_ms: 20_000 });

test('a force-on is stored once per key and taken up; a switch-off under it is refused with its reason', async () => {
  const once = key();
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const answers = await Promise.all(Array.from({ length: 5 }, () => wish(manager, 'force_on', { until }, once)));
  for (const answer of answers) {
    assert.equal(answer.status, 202, answer.text);
    assert.equal(answer.data.id, answers[0].data.id);
  }
  assert.equal(await stack.value('select count(*) from control.request where company_id = $1', [company]), 1n);
  assert.equal(await stack.value("select count(*) from core.audit where company_id = $1 and action = 'supply_requested'", [company]), 1n);
  const taken = await ended(answers[0].data.id);
  assert.ok(['accepted', 'done', 'refused', 'failed'].includes(taken.state));
  const { data: supply } = await viewer.get(path());
  assert.equal(supply.usage_point, point.id);
  assert.equal(supply.force_on.reason, 'for the test');
  assert.equal(new Date(supply.force_on.until).getTime(), new Date(until).getTime());
  assert.equal(supply.force_on.by, manager.session.operator.name);

  const off = await wish(manager, 'off');
  assert.equal(off.status, 202, off.text);
  const refused = await ended(off.data.id);
  assert.equal(refused.state, 'refused', JSON.stringify(refused));
  const { data: now } = await viewer.get(path());
  assert.ok(now.refusals.some((each) => each.reason === refused.outcome && each.requested_by === manager.session.operator.name), JSON.stringify(now.refusals));
});

test('the policy in force is shown with its next window; one that wants two persons refuses one', async () => {
  const { data: before } = await viewer.get(path());
  assert.equal(before.policy.is_set, false);
  await stack.query(
    `insert into core.switching_policy (company_id, property_num, prepaid_rule, two_persons_from, cut_windows) values ($1, $2, true, 1, $3::jsonb)`,
    [company, point.property_num, JSON.stringify([{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'workday', 'holiday'], from: '10:00', to: '11:00' }])]);
  const { data } = await viewer.get(path());
  assert.deepEqual([data.policy.is_set, data.policy.prepaid_rule, data.policy.two_persons_from], [true, true, 1]);
  assert.match(data.policy.next_window_at, /T10:00:00(\.0+)?\+08:00$/);
  const count = () => stack.value('select count(*) from control.request');
  const start = await count();
  for (const action of ['off', 'release_force_on', 'resume_prepaid']) assertProblem(await wish(manager, action), 403, 'other-person-needed');
  assert.equal(await count(), start);
  assert.equal((await wish(manager, 'read_state')).status, 202);
});

test('what is wrong is refused with its place and stores nothing', async () => {
  const count = () => stack.value('select count(*) from control.request');
  const start = await count();
  const cases = [
    ['explode', {}, '/action'], ['on', { reason: '' }, '/reason'], ['on', { reason: 'x'.repeat(201) }, '/reason'], ['on', { until: '2020-01-01T00:00:00Z' }, '/until'],
    ['on', { until: 'soon' }, '/until'], ['read_state', { until: '2099-01-01T00:00:00Z' }, '/until'], ['on', { more: 1 }, '/more'],
  ];
  for (const [action, more, pointer] of cases) {
    const answer = await wish(manager, action, more);
    assertProblem(answer, 422, 'bad-input');
    assert.equal(answer.data.errors[0].pointer, pointer, answer.text);
  }
  assertProblem(await wish(viewer, 'on'), 403, 'forbidden');
  assertProblem(await wish(stranger, 'on'), 404, 'not-found');
  assertProblem(await stranger.get(path()), 404, 'not-found');
  const any = await stack.value('select id from control.request where company_id = $1 limit 1', [company]);
  assertProblem(await stranger.get(`/api/v1/supply-requests/${any}`), 404, 'not-found');
  assertProblem(await manager.post(path(), { action: 'on', reason: 'no key' }), 400, 'idempotency-key-required');
  assert.equal(await count(), start);
});
