// What keeps many from being switched off at once, and at the wrong time: limiter, freeze and two persons, windows over
// clock changes and calendars, tariffs, warnings; and the parameters of devices.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { ALL_DAY, DAY, HOUR, MINUTE, OPEN_POLICY, SECOND, Site } from './site.mjs';

let stack, control, api;
let count = 0;
before(async () => {
  stack = await startStack();
  await stack.query("select penstock.ensure_partitions((now() - interval '1 day')::date, (now() + interval '1 day')::date)");
  control = await stack.spawnService('control');
  await control.ready();
  api = await stack.connect({ user: 'penstock_api' });
});
after(async () => {
  await api.end();
  await stack.stop();
});

const makeSite = (options) => Site.make(stack, { code: `guard-${++count}`, ...options });

async function asApi(site, text, values) {
  await api.query('begin');
  try {
    await api.query("select set_config('app.company', $1, true)", [String(site.company)]);
    const { rows } = await api.query(text, values);
    await api.query('commit');
    return rows[0];
  } catch (error) {
    await api.query('rollback');
    throw error;
  }
}

const release = (site, freeze, who, at = new Date()) => asApi(site, 'select control.release_freeze($1, $2, $3, $4) as answer', [site.company, freeze, who, at]).then((r) => r.answer);
const propose = (site, id, action, points, who, at = new Date()) =>
  asApi(site, 'select * from control.propose_batch($1, $2, $3, $4, $5, $6, null, $7)', [site.company, id, action, points.map((p) => p.num ?? p), who, 'test', at]);
const decide = (site, id, hash, yes, who, at = new Date()) =>
  asApi(site, 'select control.decide_batch($1, $2, $3, $4, $5, $6) as answer', [site.company, id, hash, yes, who, at]).then((r) => r.answer);

test('a forged "switch everything off" stops at five, freezes the company, and two persons release it', async () => {
  const site = await makeSite();
  const points = await site.addPoints(30);
  for (const point of points) await site.setBalance(point, -1n);
  const frozen = await waitFor(async () => (await stack.query('select * from control.freeze where company_id = $1', [site.company])).rows[0], { what: 'the freeze' });
  await waitFor(async () => (await stack.value('select count(*)::int from control.desired where company_id = $1 and waits_for is not null', [site.company])) === 25, { what: 'all others wait' });
  const issued = (await stack.query("select * from control.command where company_id = $1 and operation = 'switch_off'", [site.company])).rows;
  assert.equal(issued.length, 5);
  // Even those that were ordered before are held now.
  assert.deepEqual(await site.claim(issued[0]), { claimed: false, reason: 'frozen' });
  const [lin, wang] = site.operators.map((num) => `operator:${num}`);
  assert.equal(await release(site, frozen.num, lin), 'first');
  assert.equal(await release(site, frozen.num, lin), 'same_person');
  await assert.rejects(release(site, frozen.num, 'operator:999999'), /nobody|releases no freeze/);
  await assert.rejects(release(site, frozen.num, `customer:${site.customer}`), /releases no freeze/);
  assert.equal(await release(await makeSite(), frozen.num, `operator:${(await makeSite()).operators[0]}`).catch(() => 'unknown'), 'unknown');
  assert.equal(await release(site, frozen.num, wang), 'released');
  assert.equal(await release(site, frozen.num, wang), 'unknown');
  // What waited is decided anew at once, again no more than five.
  await waitFor(async () => (await stack.value('select count(*)::int from control.freeze where company_id = $1', [site.company])) === 2, { what: 'the limiter is not gone' });
  const told = await stack.query("select payload->>'reason' as reason from control.outbox where company_id = $1 and type = 'supply_refused'", [site.company]);
  assert.ok(told.rows.some(({ reason }) => reason === 'limiter'));
  // A payment is never frozen.
  const cut = points.find((p) => p.num === issued[1].usage_point_num);
  await site.setBalance(cut, 9_000_000n);
  await site.issued(cut, 'switch_on');
});

test('the limit is one in a hundred of a large company, counted over an hour', async () => {
  const site = await makeSite();
  const points = await site.addPoints(9);
  await stack.query(
    `insert into core.usage_point (company_id, id, property_num, place_num, utility, name) select $1, gen_random_uuid(), $2, $3, 'electricity', 'x' from generate_series(1, 691)`, [site.company, site.property, site.room]);
  const at = Date.now();
  for (const point of points.slice(0, 7)) {
    await site.setBalance(point, -1n);
    assert.equal((await site.claim(await site.issued(point, 'switch_off'), at)).claimed, true);
  }
  await site.setBalance(points[7], -1n);
  await site.refused(points[7], 'limiter');
  const { rows } = await stack.query('select detail from control.freeze where company_id = $1', [site.company]);
  assert.deepEqual(rows, [{ detail: '7 switch-offs within an hour, 7 allowed' }]);
});

test('an operator switches several off: another one approves exactly that list within 15 minutes', async () => {
  const site = await makeSite();
  const points = await site.addPoints(3);
  const [lin, wang] = site.operators.map((num) => `operator:${num}`);
  const id = randomUUID();
  const { list_sha256: hash, needs_second } = await propose(site, id, 'off', points, lin);
  assert.equal(needs_second, true);
  assert.equal(await decide(site, id, hash, true, lin), 'same_person');
  assert.equal(await decide(site, id, Buffer.alloc(32), true, wang), 'other_list');
  await assert.rejects(decide(site, id, hash, true, `customer:${site.customer}`), /decides on no command/);
  assert.equal(await decide(site, randomUUID(), hash, true, wang), 'unknown');
  await sleep(600);
  assert.equal(await stack.value('select count(*)::int from control.request where company_id = $1', [site.company]), 0);
  assert.equal(await decide(site, id, hash, true, wang), 'approved');
  assert.equal(await decide(site, id, hash, true, wang), 'decided');
  for (const point of points) assert.equal((await site.issued(point, 'switch_off')).cause, 'operator');
  const { rows } = await stack.query('select distinct requested_by, approved_by from control.request where company_id = $1 and batch_id = $2', [site.company, id]);
  assert.deepEqual(rows, [{ requested_by: lin, approved_by: wang }]);

  const late = randomUUID();
  const answer = await propose(site, late, 'off', points, lin);
  assert.equal(await decide(site, late, answer.list_sha256, true, wang, new Date(Date.now() + 15 * MINUTE + SECOND)), 'expired');
  const unwanted = randomUUID();
  await propose(site, unwanted, 'off', points, lin);
  assert.equal(await decide(site, unwanted, (await stack.value('select list_sha256 from control.batch where id = $1', [unwanted])), false, lin), 'rejected');
  // Switching on, and one point alone, needs nobody else; another company's points are nobody's.
  assert.equal((await propose(site, randomUUID(), 'on', points, lin)).needs_second, false);
  assert.equal((await propose(site, randomUUID(), 'off', [points[0]], lin)).needs_second, false);
  await assert.rejects(propose(site, randomUUID(), 'off', [points[0], await (await makeSite()).addPoint()], lin), /not all of these/);
  await assert.rejects(propose(site, randomUUID(), 'off', points, 'operator:0'), /proposes no command/);
});

test('emergency: one person switches a whole property on', async () => {
  const site = await makeSite();
  const points = await site.addPoints(4);
  for (const point of points) await site.cut(point);
  await propose(site, randomUUID(), 'on', points, `operator:${site.operators[0]}`);
  for (const point of points) await site.finish(await site.issued(point, 'switch_on'), 'verified', { state: 'on', at: Date.now() + SECOND });
  for (const point of points) await site.settled(point, 'on');
  assert.equal(await stack.value("select count(*)::int from control.request where company_id = $1 and state = 'done'", [site.company]), 4);
});

test('windows: working days, holidays, exceptions, and clocks that change', async () => {
  const site = await makeSite({ zone: 'Europe/Berlin' });
  const windows = JSON.stringify([{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'workday'], from: '10:00', to: '16:00' }, { days: ['sun'], from: '01:30', to: '03:30' }]);
  await stack.query("insert into core.calendar_day (calendar_name, day, kind, name) values ('cn-public', '2026-03-30', 'holiday', 'h'), ('cn-public', '2026-04-04', 'workday', 'w'), ('cn-public', '2026-04-01', 'holiday', 'x') on conflict do nothing");
  await stack.query("insert into core.property_calendar_day (company_id, property_num, day, kind) values ($1, $2, '2026-04-01', 'normal'), ($1, $2, '2026-04-02', 'holiday')", [site.company, site.property]);
  const isOpen = (local) => stack.value("select control.is_in_window($1, $2, 'cn-public', $3, $4::timestamp)", [site.company, site.property, windows, local]);
  const table = [
    ['2026-03-27 09:59', false], ['2026-03-27 10:00', true], ['2026-03-27 15:59:59', true], ['2026-03-27 16:00', false], // a Friday
    ['2026-03-28 12:00', false], ['2026-03-29 12:00', false], ['2026-03-29 03:00', true], // the weekend
    ['2026-03-30 12:00', false], // a Monday that is a holiday
    ['2026-04-04 12:00', true], // a Saturday that is worked
    ['2026-04-01 12:00', true], ['2026-04-02 12:00', false], // what the property says otherwise
  ];
  for (const [local, expected] of table) assert.equal(await isOpen(local), expected, local);
  const next = async (after) => (await stack.value("select control.next_window($1, $2, 'cn-public', 'Europe/Berlin', $3, $4)", [site.company, site.property, windows, after])).toISOString();
  assert.equal(await next('2026-03-27T09:00:00Z'), '2026-03-29T00:30:00.000Z'); // Friday is open: the next opening is Sunday 01:30 CET
  assert.equal(await next('2026-03-29T00:30:00Z'), '2026-03-31T08:00:00.000Z'); // the Monday is a holiday; Tuesday 10:00 is summer time
  assert.equal(await next('2026-10-24T20:00:00Z'), '2026-10-24T23:30:00.000Z');
  assert.equal(await stack.value("select control.next_window($1, $2, 'cn-public', 'Europe/Berlin', '[]', now())", [site.company, site.property]), null);
  for (const bad of ['{}', '[1]', '[{"days":[],"from":"10:00","to":"11:00"}]', '[{"days":["someday"],"from":"10:00","to":"11:00"}]', '[{"days":["mon"],"from":"11:00","to":"10:00"}]',
    '[{"days":["mon"],"from":"9:00","to":"10:00"}]', '[{"days":["mon"],"from":"09:00","to":"24:01"}]', '[{"days":["mon"],"from":"09:00","to":"10:00","x":1}]']) {
    await assert.rejects(stack.query('update core.switching_policy set cut_windows = $2 where company_id = $1', [site.company, bad]), /switching_policy_cut_windows_ck/, bad);
  }
});

test('outside the window nothing is done, and the row knows when to look again', async () => {
  const site = await makeSite();
  await site.setPolicy({ cut_windows: [{ days: ALL_DAY[0].days, from: '00:00', to: '00:01' }] });
  const point = await site.addPoint();
  const local = await stack.value("select to_char(now() at time zone 'Asia/Shanghai', 'HH24:MI')");
  if (local === '00:00') await sleep(MINUTE);
  await site.setBalance(point, -1n);
  await site.refused(point, 'outside_window');
  // The edit of the policy may wake it once more in between.
  const at = await waitFor(async () => {
    const { watch_at: next } = await site.desired(point);
    return (await stack.value("select to_char($1::timestamptz at time zone 'Asia/Shanghai', 'HH24:MI')", [next])) === '00:00' && next;
  }, { what: 'the opening as the next look' });
  assert.ok(at.getTime() > Date.now() && at.getTime() < Date.now() + DAY + MINUTE);
  // Its time comes.
  await site.setPolicy({ cut_windows: ALL_DAY });
  await site.issued(point, 'switch_off');
});

test('a tariff that changed within a day switches nobody off; a first one is no change', async () => {
  const site = await makeSite();
  const [first, reassigned] = await site.addPoints(2);
  const assign = (from, known) => stack.query(
    `insert into core.tariff_assignment (company_id, property_num, usage_point_num, utility, tariff_num, from_at, known_at) values ($1, $2, $3, 'electricity', $4, $5, $6)`,
    [site.company, site.property, reassigned.num, site.tariff, new Date(from), new Date(known)]);
  await assign(Date.now() - 10 * DAY, Date.now() - HOUR); // effective long ago, known since an hour
  for (const point of [first, reassigned]) await site.setBalance(point, -1n);
  await site.issued(first, 'switch_off');
  await site.refused(reassigned, 'tariff_changed');
  const version = await makeSite();
  const point = await version.addPoint();
  await stack.query("insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at) values ($1, gen_random_uuid(), $2, 2, $3, '{}', sha256('y'), $3)",
    [version.company, version.tariff, new Date(Date.now() - 2 * HOUR)]);
  await version.setBalance(point, -1n);
  await version.refused(point, 'tariff_changed');
});

test('a warning of earlier arrears does not count for these', async () => {
  const site = await makeSite({ policy: { ...OPEN_POLICY, warning_required: true, warning_min_age_s: 0, warning_max_age_s: 864000 } });
  const point = await site.addPoint();
  const warn = (at) => stack.query('insert into alerts.delivered_warning (company_id, purse_num, level, delivered_at) values ($1, $2, 2, $3) on conflict (company_id, purse_num, level) do update set delivered_at = excluded.delivered_at',
    [site.company, point.purse, new Date(at)]);
  await warn(Date.now() - HOUR);
  await site.setBalance(point, 50_000_000n);
  await waitFor(() => stack.value('select well_at from control.purse where purse_num = $1', [point.purse]), { what: 'seen well' });
  await site.setBalance(point, -1n);
  await site.refused(point, 'no_warning');
  await warn(Date.now());
  await site.issued(point, 'switch_off', { within_ms: 15_000 });
});

test('the payments service itself is asked: an order in doubt stands against it', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await orderInDoubt(site, point);
  await site.setBalance(point, -1n);
  await site.refused(point, 'payment_unknown');
  assert.deepEqual(await site.commands(point), []);
});

// A row of the payments service in the state that matters; what else it must hold is made up from its columns.
async function orderInDoubt(site, point) {
  const { rows } = await stack.query(`
    select a.attname as name, t.typname as type, a.attnotnull and not a.atthasdef and a.attidentity = '' as needed
    from pg_attribute a join pg_type t on t.oid = a.atttypid where a.attrelid = 'payments.payment_order'::regclass and a.attnum > 0 and not a.attisdropped`);
  const given = { company_id: site.company, account_num: point.account, purse_num: point.purse, property_num: site.property, state: 'unknown', currency: 'CNY' };
  const madeUp = { int2: 1, int4: 1, int8: 1, text: 'x', uuid: randomUUID(), timestamptz: new Date(), bytea: Buffer.alloc(32), bool: false, jsonb: '{}' };
  const used = rows.filter(({ name, needed }) => name in given || needed);
  const client = await stack.connect();
  try {
    await client.query('set session_replication_role = replica');
    for (const { conname } of (await client.query("select conname from pg_constraint where conrelid = 'payments.payment_order'::regclass and contype = 'c'")).rows) await client.query(`alter table payments.payment_order drop constraint "${conname}"`);
    await client.query(`insert into payments.payment_order (${used.map((c) => c.name).join(', ')}) overriding system value values (${used.map((_, i) => `$${i + 1}`).join(', ')})`, used.map(({ name, type }) => given[name] ?? madeUp[type]));
  } finally {
    await client.end();
  }
}

test('parameters: wanted by version, confirmed by reading back, a mismatch stands until it is gone', async () => {
  const site = await makeSite();
  const [plain, special] = await site.addPoints(2);
  await site.setPolicy({ overload_w: 5000, overload_recoveries: 3, schedule: [{ at: '06:00', do: 'on' }, { at: '23:00', do: 'off' }] });
  await site.setPolicy({ overload_w: 9000 }, special);
  const row = async (point) => (await stack.query('select * from control.parameter where usage_point_num = $1', [point.num])).rows[0];
  const first = await site.issued(plain, 'set_parameters');
  assert.deepEqual(first.parameters, { overload_w: 5000, overload_recoveries: 3, schedule: [{ at: '06:00', do: 'on' }, { at: '23:00', do: 'off' }] });
  const other = await waitFor(async () => (await site.commands(special, 'set_parameters')).find((c) => c.state === 'issued' && c.parameters.overload_w === 9000), { what: 'the point has its own' });
  assert.equal(other.parameters.overload_recoveries, 3);
  await site.finish(first, 'verified');
  await waitFor(async () => (await row(plain)).state === 'confirmed', { what: 'confirmed' });
  assert.deepEqual((await row(plain)).confirmed, first.parameters);
  await site.finish(other, 'failed', { reason: 'parameter_mismatch' });
  await waitFor(async () => (await row(special)).state === 'mismatch', { what: 'the mismatch' });
  // A device that was changed by hand says so later.
  await site.tell('ingest', 'device-events', 'device_alarm', plain.channel, 1, { channel: plain.channel, meter: plain.meter, property: site.property, kind: 'parameter_mismatch', value: null, at: new Date().toISOString() });
  await waitFor(async () => (await row(plain)).state === 'mismatch', { what: 'the alarm' });
  // An edit is the next version; the end of the old one does not confirm it.
  const { version } = await row(plain);
  await site.setPolicy({ overload_w: 6000 });
  const second = await waitFor(async () => (await site.commands(plain, 'set_parameters')).find((c) => c.version > version), { what: 'the next version' });
  await site.finish(first, 'verified');
  await sleep(200);
  assert.notEqual((await row(plain)).state, 'confirmed');
  await site.finish(second, 'verified');
  await waitFor(async () => (await row(plain)).confirmed_version === second.version, { what: 'confirmed anew' });
  await site.setPolicy({ overload_w: null, overload_recoveries: null, schedule: null });
  await waitFor(async () => (await row(plain)).state === 'unmanaged', { what: 'left alone' });
  for (const bad of ['[{"at":"08:00","do":"maybe"}]', '[{"at":"08:00","do":"on"},{"at":"08:00","do":"off"}]', '[{"at":"25:00","do":"on"}]', JSON.stringify(Array.from({ length: 9 }, (_, i) => ({ at: `0${i}:00`, do: 'on' })))]) {
    await assert.rejects(stack.query('update core.switching_policy set schedule = $2 where company_id = $1', [site.company, bad]), /switching_policy_schedule_ck/, bad);
  }
});

test('a valve closes slowly, and one that sticks is no switch-off', async () => {
  const site = await makeSite({ switchKind: 'valve' });
  const point = await site.addPoint();
  await site.setBalance(point, -1n);
  const off = await site.issued(point, 'switch_off');
  await site.claim(off);
  const at = Date.now();
  await site.finish(off, 'unknown', { state: 'closing', at });
  await waitFor(async () => (await site.desired(point)).observed === 'closing', { what: 'closing' });
  assert.equal((await site.desired(point)).verified_version, null);
  await site.observe(point, 'stuck', at + 1000);
  await waitFor(async () => (await site.desired(point)).observed === 'stuck', { what: 'stuck' });
  assert.equal((await site.events('supply_switched', point)).length, 0);
  await site.observe(point, 'off', at + 2000);
  await site.settled(point, 'off');
  await site.setBalance(point, 9_000_000n);
  const on = await site.issued(point, 'switch_on');
  await site.finish(on, 'failed', { state: 'opening', at: at + 3000 });
  await waitFor(async () => (await site.desired(point)).observed === 'opening', { what: 'opening' });
  await site.observe(point, 'on', at + 4000);
  await site.settled(point, 'on');
});

test('a granted overdraft counts before billing has taken it over', async () => {
  const site = await makeSite();
  const point = await site.addPoint();
  await stack.query('update core.purse set overdraft_micro = 100000000 where num = $1', [point.purse]);
  await site.setBalance(point, -5_000_000n);
  await sleep(500);
  assert.deepEqual(await site.commands(point), []);
  await stack.query("update core.purse set overdraft_until = now() - interval '1 second' where num = $1", [point.purse]);
  await site.issued(point, 'switch_off', { within_ms: 70_000 });
});
