// Decisions on the real database. First the same random facts decided by SQL and by C. Then claims on random true states
// of everything a claim looks at, against an oracle that knows what was put there: every reason comes up, in the order
// of its weight, and nothing that may be switched off is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '../../support/child.mjs';
import { ROOT, buildDir, startStack } from '../../support/stack.mjs';
import { ALL_DAY, DAY, HOUR, MINUTE, SECOND } from './site.mjs';

const SEED = Number(process.env.PENSTOCK_TEST_SEED ?? 20261121);
const LONG = Boolean(process.env.PENSTOCK_TEST_LONG);
let stack;
before(async () => {
  stack = await startStack({ redis: false });
  await stack.query("select penstock.ensure_partitions((now() - interval '5 days')::date, (now() + interval '1 day')::date)");
});
after(() => stack.stop());

function randomOf(seed) {
  let state = BigInt(seed);
  const next = () => {
    state = (state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
    return z ^ (z >> 31n);
  };
  const below = (n) => Number(next() % BigInt(n));
  return { below, chance: (percent) => below(100) < percent, pick: (list) => list[below(list.length)] };
}

// The reasons in the order of their weight, as people read them.
async function refusals() {
  const text = await readFile(path.join(ROOT, 'libs/switching/include/switching/refusals.def'), 'utf8');
  return [...text.matchAll(/^REFUSAL\(\w+, "(\w+)"/gm)].map(([, word]) => word);
}

test('SQL and C decide alike on random facts', async () => {
  const random = randomOf(SEED);
  const truth = (mostly) => (random.chance(1) ? null : random.chance(88) ? mostly : !mostly);
  const around = (edges) => {
    const edge = random.pick(edges);
    return edge === null ? null : edge + random.pick([-1, 0, 1, 0, 1000, -1000]);
  };
  const make = () => ({
    cause: random.pick(['arrears', 'arrears', 'arrears', 'arrears', 'operator', 'customer', 'whim', null]),
    is_newest: truth(true), is_switchable: truth(true), never_cut: truth(false), is_forced_on: truth(false), is_frozen: truth(false),
    off_last_hour: random.chance(1) ? null : random.below(7), off_limit: random.chance(1) ? null : random.pick([5, 6, 100]),
    has_unknown_off: truth(false), is_own: truth(true), prepaid_rule: truth(true), is_shared: truth(false),
    level: random.chance(4) ? null : random.pick([0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3]),
    payment_block: random.chance(88) ? null : random.pick(['payment_unknown', 'payment_not_credited', 'payment_in_suspense', 'payment_recent', 'never_cut', 'x']),
    credit_age_ms: around([null, null, null, null, 600_000, 0, 3_600_000]), is_stopped: truth(false),
    reading_age_ms: around([60_000, 60_000, 60_000, 3_600_000, -600_000, 0, null]), tariff_age_ms: around([null, null, null, 86_400_000, 0]),
    in_window: truth(true), is_warned: truth(true), on_age_ms: around([null, null, 1_800_000, 9_999_999]),
    stale_after_ms: random.chance(1) ? null : 3_600_000, credit_quiet_ms: random.chance(1) ? null : 600_000, min_on_ms: random.chance(1) ? null : 1_800_000,
  });
  const count = LONG ? 200_000 : 20_000;
  const told = new Map();
  for (let done = 0; done < count; done += 5000) {
    const facts = Array.from({ length: 5000 }, make);
    const { rows } = await stack.query(
      `select control.refusal_of(jsonb_populate_record(null::control.switch_facts, f)) as reason from jsonb_array_elements($1::jsonb) with ordinality as x (f, n) order by n`, [JSON.stringify(facts)]);
    const input = facts.map((f) => Object.values(f).map((value) => value ?? '-').join('\t')).join('\n');
    const { code, stdout } = await runProgram(path.join(buildDir(), 'tests/switching_driver'), [], { input: `${input}\n` });
    assert.equal(code, 0);
    const answers = stdout.trim().split('\n');
    assert.equal(answers.length, facts.length);
    answers.forEach((answer, i) => {
      assert.equal(rows[i].reason ?? '-', answer, `seed ${SEED}: ${JSON.stringify(facts[i])}`);
      told.set(answer, (told.get(answer) ?? 0) + 1);
    });
  }
  // Both silent about a reason would be alike as well.
  for (const reason of [...(await refusals()), '-']) assert.ok(told.get(reason) > 10, `${reason} came up ${told.get(reason) ?? 0} times`);
  console.log(`# seed ${SEED}: ${count} facts, ${told.get('-')} of them may be switched off`);
});

// ---- claims ----

const COMPANIES = 50;
const POINTS = 10;

// Everything a claim looks at, for many companies at once.
async function makeWorld(at) {
  const since = new Date(at - 100 * DAY).toISOString();
  await stack.query(`
    insert into core.company (id, code, name, created_at) select gen_random_uuid(), 'dec-' || n, 'c', '${since}' from generate_series(1, ${COMPANIES}) n;
    insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, alarm_1_micro, alarm_2_micro, created_at)
      select company_id, gen_random_uuid(), 'p', 'P', 'Asia/Shanghai', 'CNY', 'cn-public', 0, 5000000, 2000000, '${since}' from core.company;
    insert into core.place (company_id, id, property_num, kind, name) select company_id, gen_random_uuid(), num, 'building', 'B' from core.property;
    insert into core.customer (company_id, id, kind, name) select company_id, gen_random_uuid(), 'firm', 'F' from core.company;
    insert into core.agreement (company_id, id, property_num, customer_num, number, class, starts_on)
      select p.company_id, gen_random_uuid(), p.num, c.num, 'A', 'shop', '2020-01-01' from core.property p join core.customer c using (company_id);
    insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
      values (gen_random_uuid(), 'relay', 'M', 'M', 'electricity', 'dlt645_2007', 1, 1000, 'relay'), (gen_random_uuid(), 'none', 'M', 'M', 'electricity', 'dlt645_2007', 1, 1000, 'none');
    insert into core.gateway (company_id, id, property_num, name, kind, registration)
      select company_id, gen_random_uuid(), num, 'G' || n, 'dtu_tcp', gen_random_uuid()::text from core.property cross join generate_series(1, ${POINTS}) n;
    insert into core.gateway_port (company_id, gateway_num, port) select company_id, num, 1 from core.gateway;
    insert into core.tariff (company_id, id, code, name, utility) select company_id, gen_random_uuid(), 't', 't', 'electricity' from core.company;
    insert into core.tariff_assignment (company_id, property_num, utility, tariff_num, from_at, known_at)
      select t.company_id, p.num, 'electricity', t.num, '${since}', '${since}' from core.tariff t join core.property p using (company_id);
    insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at)
      select company_id, gen_random_uuid(), num, 1, '${since}', '{}', sha256('x'), '${since}' from core.tariff;
    insert into core.usage_point (company_id, id, property_num, place_num, utility, name)
      select p.company_id, gen_random_uuid(), p.num, l.num, 'electricity', n::text from core.property p join core.place l on l.company_id = p.company_id cross join generate_series(1, ${POINTS}) n;
    insert into core.meter (company_id, id, property_num, gateway_num, port, bus_address, model_num, serial, installed_at)
      select g.company_id, gen_random_uuid(), g.property_num, g.num, 1, substr(g.name, 2), m.num, 's', '${since}' from core.gateway g, core.meter_model m where m.code = 'relay';
    insert into core.channel (company_id, id, meter_num) select company_id, gen_random_uuid(), num from core.meter;
    insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value)
      select c.company_id, c.num, u.num, '${since}', 0 from core.channel c join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
      join core.usage_point u on u.company_id = m.company_id and u.name = m.bus_address;
    insert into core.account (company_id, id, property_num, agreement_num, number, opened_at)
      select u.company_id, gen_random_uuid(), u.property_num, a.num, u.name, '${since}' from core.usage_point u join core.agreement a on a.company_id = u.company_id;
    insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro)
      select company_id, gen_random_uuid(), num, 'electricity', 'CNY', 5000000, 2000000 from core.account;
    insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at)
      select u.company_id, u.num, a.num, p.num, '${since}' from core.usage_point u join core.account a on a.company_id = u.company_id and a.number = u.name
      join core.purse p on p.company_id = a.company_id and p.account_num = a.num;
    insert into billing.purse (num, company_id, account_num, property_num, purpose, currency, alarm_1_micro, alarm_2_micro, overdraft_micro, updated_at)
      select p.num, p.company_id, p.account_num, a.property_num, 'electricity', 'CNY', 5000000, 2000000, 0, '${since}' from core.purse p join core.account a on a.company_id = p.company_id and a.num = p.account_num;
    insert into billing.point (num, company_id, partition, channel_num, account_num, purse_num, epoch, last_at, last_value, day_start, state)
      select u.usage_point_num, u.company_id, 0, i.channel_num, u.account_num, u.purse_num, 0, '${since}', 0, '${since}', '\\x00'
      from core.usage_point_account u join core.channel_installation i on i.company_id = u.company_id and i.usage_point_num = u.usage_point_num;
    insert into core.switching_policy (company_id, property_num, prepaid_rule, stale_after_s, min_on_s, warning_min_age_s, warning_max_age_s, cut_windows)
      select company_id, num, true, 3600, 1800, 1800, 864000, '${JSON.stringify(ALL_DAY)}' from core.property;
    insert into core.switching_policy (company_id, property_num, usage_point_num) select company_id, property_num, num from core.usage_point;
    insert into control.desired (company_id, usage_point_num, property_num, set_at) select company_id, num, property_num, '${since}' from core.usage_point`);
  const { rows } = await stack.query(`
    select u.company_id as company, u.num as point, u.property_num as property, a.account_num as account, a.purse_num as purse, i.channel_num as channel, c.meter_num as meter,
           m.gateway_num as gateway, t.num as tariff
    from core.usage_point u join core.usage_point_account a on a.company_id = u.company_id and a.usage_point_num = u.num
    join core.channel_installation i on i.company_id = u.company_id and i.usage_point_num = u.num
    join core.channel c on c.company_id = i.company_id and c.num = i.channel_num join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
    join core.tariff t on t.company_id = u.company_id order by 1, 2`);
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, Number(value)])));
}

// The truth about one point, spoiled in zero to three ways, some of which only look as if they mattered.
function truthOf(random, at, point) {
  const t = {
    ...point, balance: -1_000_000, overdraft: 0, overdraft_until: null, billing_overdraft: 0, never_cut: false, shared: false, prepaid_rule: null, cut_windows: null,
    model: 'relay', gateway_off: false, removed: false, held: true, blocked: null, credit_at: null, credit_kind: 3, stopped: false, read_at: at - 10 * MINUTE, assigned_at: null,
    warned_level: 3, warned_at: at - 2 * HOUR, well_at: null, on_since: null, force_from: null, force_until: null, force_released: null, desired: 'off', version: 7, wanted: 7,
    issued_at: at - MINUTE, not_after: at + 4 * MINUTE, state: 'issued', other: null, cause: 'arrears', frozen: false,
  };
  const ways = [
    () => (t.balance = random.pick([1, 2_000_000, 90_000_000])),
    () => { t.overdraft = 5_000_000; t.overdraft_until = random.pick([null, at + HOUR]); },
    () => { t.overdraft = 5_000_000; t.overdraft_until = at - HOUR; },
    () => (t.never_cut = true),
    () => (t.shared = true),
    () => (t.prepaid_rule = false),
    () => (t.prepaid_rule = true),
    () => { t.force_from = at - HOUR; t.force_until = random.pick([null, at + SECOND]); t.force_released = null; },
    () => { t.force_from = at - 2 * HOUR; t.force_until = at - SECOND; t.force_released = null; },
    () => { t.force_from = at - 2 * HOUR; t.force_until = null; t.force_released = at - HOUR; },
    () => (t.held = false),
    () => (t.blocked = random.pick(['payment_unknown', 'payment_not_credited', 'payment_in_suspense', 'payment_recent'])),
    () => { t.credit_at = at - random.below(599) * SECOND; t.credit_kind = random.pick([2, 3, 6, 7]); },
    () => { t.credit_at = at - (601 + random.below(5000)) * SECOND; t.credit_kind = random.pick([2, 3, 6, 7]); },
    () => { t.credit_at = at - random.below(599) * SECOND; t.credit_kind = random.pick([5, 8, 9]); },
    () => (t.stopped = true),
    () => (t.read_at = at - HOUR - random.pick([1, 1000, 86_400_000])),
    () => (t.read_at = at + 11 * MINUTE),
    () => (t.read_at = at + 9 * MINUTE),
    () => (t.assigned_at = at - random.below(DAY - 1000) - 1),
    () => (t.assigned_at = at - DAY - 1000),
    () => (t.cut_windows = random.pick(['[]', JSON.stringify([{ ...ALL_DAY[0], days: ['holiday'] }])])),
    () => (t.warned_at = random.pick([null, at - 10 * MINUTE, at - 11 * DAY])),
    () => (t.warned_level = 1),
    () => (t.well_at = at - HOUR),
    () => (t.warned_level = 2),
    () => (t.on_since = at - random.below(1800) * SECOND),
    () => (t.on_since = at - 1801 * SECOND),
    () => (t.wanted = random.pick([6, 8])),
    () => (t.desired = 'on'),
    () => random.pick([() => (t.model = 'none'), () => (t.gateway_off = true), () => (t.removed = true)])(),
    () => (t.other = random.pick(['sent', 'unknown'])),
    () => (t.other = random.pick(['verified', 'failed', 'superseded', 'refused'])),
    () => { t.issued_at = at - 10 * MINUTE; t.not_after = at - 5 * MINUTE; },
    () => { t.issued_at = at + 6 * MINUTE; t.not_after = at + 11 * MINUTE; },
    () => (t.state = random.pick(['sent', 'verified', 'superseded', 'unknown', 'refused', 'failed', 'expired'])),
    () => (t.frozen = true),
  ];
  for (let left = random.pick([0, 0, 1, 1, 1, 2, 2, 3]); left > 0; left--) random.pick(ways)();
  return t;
}

// Every reason that stands against it, read off the truth; the freeze and the limiter depend on the order of claims.
function reasonsOf(t, at) {
  const is = (holds, reason) => (holds ? [reason] : []);
  const overdraft = t.overdraft_until === null || t.overdraft_until > at ? t.overdraft : 0;
  const forced = t.force_from !== null && t.force_released === null && (t.force_until === null || t.force_until > at);
  return [
    ...is(t.state !== 'issued', 'already_taken'),
    ...is(at > t.not_after || at < t.issued_at - 5 * MINUTE, 'expired'),
    ...is(t.desired !== 'off' || t.wanted !== t.version, 'superseded'),
    ...is(t.model === 'none' || t.gateway_off || t.removed, 'not_switchable'),
    ...is(t.never_cut, 'never_cut'),
    ...is(forced, 'force_on'),
    ...is(t.other === 'sent' || t.other === 'unknown', 'outcome_unknown'),
    ...is(t.prepaid_rule === false, 'rule_off'),
    ...is(t.shared, 'shared'),
    ...is(!t.held, 'no_purse'),
    ...is(t.balance > -overdraft, 'not_in_arrears'),
    ...is(t.blocked !== null, t.blocked),
    ...is(t.credit_at !== null && at - t.credit_at < 10 * MINUTE && [2, 3, 6, 7].includes(t.credit_kind), 'credit_recent'),
    ...is(t.stopped, 'point_stopped'),
    ...is(at - t.read_at > HOUR || t.read_at - at > 10 * MINUTE, 'stale_reading'),
    ...is(t.assigned_at !== null && at - t.assigned_at < DAY, 'tariff_changed'),
    ...is(t.cut_windows !== null, 'outside_window'),
    ...is(t.warned_at === null || t.warned_level < 2 || at - t.warned_at < 30 * MINUTE || at - t.warned_at >= 10 * DAY || (t.well_at !== null && t.warned_at <= t.well_at), 'no_warning'),
    ...is(t.on_since !== null && at - t.on_since < 30 * MINUTE, 'on_recent'),
  ];
}

test('claims on random states: no wrong switch-off, no other refusal than the right one', async () => {
  const random = randomOf(SEED + 1);
  const order = ['already_taken', 'expired', ...(await refusals())];
  const rounds = LONG ? 60 : 22;
  const start = Date.now() - 2 * DAY;
  const points = await makeWorld(start);
  assert.equal(points.length, COMPANIES * POINTS);
  // What the payments service says of an account is given here; its own tests say when it says it.
  await stack.query('create table if not exists payments.test_block (company_id integer, account_num bigint, reason text); grant select on payments.test_block to penstock_door');
  await stack.query(`create or replace function payments.switch_off_block(company integer, account bigint, at timestamptz) returns text language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select b.reason from payments.test_block b where b.company_id = company and b.account_num = account $$`);
  const none = await stack.value("select num from core.meter_model where code = 'none'");
  const relay = await stack.value("select num from core.meter_model where code = 'relay'");
  const ingest = await stack.connect({ user: 'penstock_ingest' });
  const told = new Map();
  let claims = 0;
  for (let round = 0; round < rounds; round++) {
    const at = start + round * 2 * HOUR;
    const truths = points.map((point) => truthOf(random, at, point));
    const frozen = new Set(truths.filter((t) => t.frozen).map((t) => t.company));
    await spoilTables(truths, { at, none, relay, frozen: [...frozen] });
    const commands = truths.map(() => randomUUID());
    await issueAll(truths, commands, at);
    for (let c = 0; c < COMPANIES; c++) {
      const mine = truths.map((t, i) => ({ t, id: commands[i] })).filter(({ t }) => t.company === points[c * POINTS].company);
      // Each command is claimed, some of them twice in one go.
      const ids = mine.flatMap(({ id }) => (random.chance(10) ? [id, id] : [id]));
      const { company } = mine[0].t;
      await ingest.query('begin');
      await ingest.query("select set_config('app.company', $1, true)", [String(company)]);
      const { rows } = await ingest.query(
        'select x.id, c.claimed, c.reason from unnest($2::uuid[]) with ordinality as x (id, n) cross join lateral control.claim_switch_off($1, x.id, $3) c order by x.n', [company, ids, new Date(at).toISOString()]);
      await ingest.query('commit');
      let sent = 0;
      let isFrozen = frozen.has(company);
      const seen = new Set();
      rows.forEach(({ id, claimed, reason }, i) => {
        assert.equal(id, ids[i]);
        const { t } = mine.find((w) => w.id === id);
        let reasons = seen.has(id) ? ['already_taken'] : reasonsOf(t, at);
        if (!seen.has(id) && isFrozen) reasons.push('frozen');
        if (reasons.length === 0 && sent >= 5) {
          reasons = ['limiter'];
          isFrozen = true;
        }
        seen.add(id);
        const expected = reasons.length === 0 ? null : reasons.sort((a, b) => order.indexOf(a) - order.indexOf(b))[0];
        assert.deepEqual({ claimed, reason }, { claimed: expected === null, reason: expected }, `seed ${SEED}, round ${round}: ${JSON.stringify(t, (_, v) => (typeof v === 'bigint' ? Number(v) : v))}`);
        if (claimed) sent++;
        claims++;
        told.set(expected ?? '-', (told.get(expected ?? '-') ?? 0) + 1);
      });
    }
    // What was told is what is stored: one row each, and SENT exactly where it was allowed.
    const { rows: [stored] } = await stack.query(
      `select (select count(*)::int from control.refusal where refused_at = $1) as refused, (select count(*)::int from control.command where sent_at = $1) as sent,
              (select count(*)::int from control.command where id = any($2) and state = 'issued') as left`, [new Date(at).toISOString(), commands]);
    const expectedSent = [...told].filter(([reason]) => reason === '-').reduce((sum, [, n]) => sum + n, 0);
    assert.equal(await stack.value("select count(*)::int from control.command where operation = 'switch_off' and sent_at is not null and cause = 'arrears' and requested_by is null"), expectedSent);
    assert.equal(stored.left, 0);
  }
  await ingest.end();
  assert.ok(claims >= (LONG ? 30_000 : 11_000), String(claims));
  const unheard = ['missing_facts', 'not_allowed'];
  for (const reason of order.filter((r) => !unheard.includes(r))) assert.ok(told.get(reason) > 5, `${reason} came up ${told.get(reason) ?? 0} times`);
  assert.ok(told.get('-') > claims / 20, `only ${told.get('-')} were switched off`);
  console.log(`# seed ${SEED}: ${claims} claims, ${told.get('-')} switched off; ${[...told].filter(([r]) => r !== '-').map(([r, n]) => `${r} ${n}`).join(', ')}`);
});

const time = (at) => (at === null ? null : new Date(at).toISOString());

async function spoilTables(truths, { at, none, relay, frozen }) {
  const rows = JSON.stringify(truths.map((t) => ({ ...t, model_num: t.model === 'none' ? none : relay, overdraft_until: time(t.overdraft_until), credit_at: time(t.credit_at), read_at: time(t.read_at),
    assigned_at: time(t.assigned_at), warned_at: time(t.warned_at), well_at: time(t.well_at), on_since: time(t.on_since), force_from: time(t.force_from), force_until: time(t.force_until),
    force_released: time(t.force_released) })), (_, v) => (typeof v === 'bigint' ? Number(v) : v));
  const X = `(select * from jsonb_to_recordset($1::jsonb) as x (company int, point bigint, property bigint, account bigint, purse bigint, channel bigint, meter bigint, gateway bigint, tariff bigint, balance bigint,
    overdraft bigint, overdraft_until timestamptz, never_cut boolean, shared boolean, prepaid_rule boolean, cut_windows text, model_num bigint, gateway_off boolean, removed boolean, held boolean, blocked text,
    credit_at timestamptz, credit_kind smallint, stopped boolean, read_at timestamptz, assigned_at timestamptz, warned_level smallint, warned_at timestamptz, well_at timestamptz, on_since timestamptz,
    force_from timestamptz, force_until timestamptz, force_released timestamptz, desired text, version bigint)) x`;
  const client = await stack.connect();
  try {
    await client.query('begin');
    const run = (text) => client.query(text, text.includes('$2') ? [rows, time(at)] : text.includes('$1') ? [rows] : []);
    await run(`update core.usage_point u set never_cut = x.never_cut, shared = x.shared from ${X} where u.company_id = x.company and u.num = x.point`);
    await run(`update core.switching_policy p set prepaid_rule = x.prepaid_rule, cut_windows = x.cut_windows::jsonb from ${X} where p.company_id = x.company and p.usage_point_num = x.point`);
    await run(`update core.gateway g set disabled_at = case when x.gateway_off then $2::timestamptz end from ${X} where g.company_id = x.company and g.num = x.gateway`);
    await run(`update core.meter m set removed_at = case when x.removed then $2::timestamptz end, model_num = x.model_num from ${X} where m.company_id = x.company and m.num = x.meter`);
    await run(`update core.usage_point_account a set to_at = case when not x.held then $2::timestamptz - interval '1 minute' end from ${X} where a.company_id = x.company and a.usage_point_num = x.point`);
    await run(`update core.purse p set overdraft_micro = x.overdraft, overdraft_until = x.overdraft_until from ${X} where p.company_id = x.company and p.num = x.purse`);
    await run(`update billing.purse p set balance_micro = x.balance, level = billing.credit_level(x.balance, 5000000, 2000000, 0) from ${X} where p.num = x.purse`);
    await run(`update billing.point p set last_at = x.read_at, stopped_since = case when x.stopped then x.read_at end from ${X} where p.num = x.point`);
    await run('delete from billing.transfer');
    await run(`insert into billing.transfer (id, company_id, kind, debit_class, debit_item, credit_class, credit_item, debit_num, credit_num, amount_micro, source_num, booked_at, effective_at, currency)
      select x.point, x.company, x.credit_kind, 7, 0, 1, 0, 1, x.purse, 5, 0, x.credit_at, x.credit_at, 'CNY' from ${X} where x.credit_at is not null`);
    await run('delete from payments.test_block');
    await run(`insert into payments.test_block select x.company, x.account, x.blocked from ${X} where x.blocked is not null`);
    await run('delete from core.tariff_assignment where usage_point_num is not null');
    await run(`insert into core.tariff_assignment (company_id, property_num, usage_point_num, utility, tariff_num, from_at, known_at)
      select x.company, x.property, x.point, 'electricity', x.tariff, x.assigned_at, x.assigned_at from ${X} where x.assigned_at is not null`);
    await run('delete from alerts.delivered_warning');
    await run(`insert into alerts.delivered_warning (company_id, purse_num, level, delivered_at) select x.company, x.purse, x.warned_level, x.warned_at from ${X} where x.warned_at is not null`);
    await run('delete from control.purse');
    await run(`insert into control.purse (company_id, purse_num, well_at) select x.company, x.purse, x.well_at from ${X} where x.well_at is not null`);
    await run('delete from control.force_on');
    await run(`insert into control.force_on (company_id, usage_point_num, from_at, until_at, reason, set_by, released_at) select x.company, x.point, x.force_from, x.force_until, 'r', 'operator:1', x.force_released from ${X} where x.force_from is not null`);
    await run(`update control.desired d set state = x.desired, version = x.version, on_since = x.on_since from ${X} where d.company_id = x.company and d.usage_point_num = x.point`);
    await client.query("update control.command set state = 'verified' where state in ('sent', 'unknown')");
    await client.query('delete from control.freeze');
    await client.query("insert into control.freeze (company_id, reason, detail, frozen_at) select c, 'limiter', 'test', $2 from unnest($1::int[]) c", [frozen, time(at)]);
    await client.query('commit');
  } finally {
    await client.end();
  }
}

async function issueAll(truths, ids, at) {
  const rows = truths.map((t, i) => ({ id: ids[i], company: t.company, point: Number(t.point), property: Number(t.property), gateway: Number(t.gateway), meter: Number(t.meter), channel: Number(t.channel),
    version: t.wanted, state: t.state, issued_at: time(t.issued_at), not_after: time(t.not_after), other: t.other }));
  const X = `jsonb_to_recordset($1::jsonb) as x (id uuid, company int, point bigint, property bigint, gateway bigint, meter bigint, channel bigint, version bigint, state text, issued_at timestamptz, not_after timestamptz, other text)`;
  const columns = 'company_id, id, usage_point_num, property_num, gateway_num, meter_num, channel_num, operation, version, cause, requested_by, state, issued_at, not_after';
  await stack.query(`insert into control.command (${columns}) select company, id, point, property, gateway, meter, channel, 'switch_off', version, 'arrears', null, state, issued_at, not_after from ${X}`, [JSON.stringify(rows)]);
  await stack.query(`insert into control.command (${columns}) select company, gen_random_uuid(), point, property, gateway, meter, channel, 'switch_off', 1, 'operator', 'operator:1', other, $2::timestamptz - interval '3 hours',
    $2::timestamptz - interval '2 hours' from ${X} where other is not null`, [JSON.stringify(rows), time(at)]);
}
