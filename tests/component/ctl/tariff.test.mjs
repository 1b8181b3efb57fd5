// penstockctl tariff: what is refused changes nothing, what is published prices from its instant on, and the ledger stays proven.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

const HOUR_MS = 3_600_000;
const METERS = 40;
const iso = (at) => new Date(at).toISOString();

let stack, billing, room, published, effective;
let blocks = 0;

before(async () => {
  stack = await startStack();
  const { code, stderr } = await stack.ctl(['demo', 'load', '--meters', String(METERS), '--days', '2']);
  assert.equal(code, 0, stderr);
  billing = await stack.spawnService('billing');
  await billing.ready();
  await waitFor(async () => (await count('billing.reading')) === METERS * 48, { what: 'history charged', within_ms: 30_000 });
  const { rows } = await stack.query(`
    select p.num, p.company_id, p.partition, p.channel_num, p.last_at, p.last_value, up.id, o.code as property, c.code as company, t.code as tariff,
           v.document, a.usage_point_num is not null as is_own
    from billing.point p join core.usage_point up on up.num = p.num join core.property o on o.num = up.property_num
    join core.company c on c.company_id = up.company_id
    join core.tariff_assignment a on a.property_num = up.property_num and (a.usage_point_num is null or a.usage_point_num = up.num)
    join core.tariff t on t.num = a.tariff_num join core.tariff_version v on v.tariff_num = t.num
    where t.code = 'office-single-price' and p.account_num <> 0 order by p.num limit 1`);
  room = rows[0];
  effective = room.last_at.getTime() + 6 * HOUR_MS;
  published = { ...JSON.parse(room.document), effective_from: iso(effective) };
  published.lines[0].prices.flat = ['1.0000'];
});
after(() => stack.stop());

const count = (table) => stack.value(`select count(*)::integer from ${table}`);
const counts = async () => [await count('core.tariff'), await count('core.tariff_version'), await count('core.tariff_assignment'), await count('core.audit')];
const tariff = (words, input) => stack.ctl(['tariff', ...words], { input: input && (typeof input === 'string' ? input : JSON.stringify(input)) });
const publish = (document, ...more) => tariff(['publish', '--company', room.company, '--file', '-', ...more], document);
const assign = (...more) => tariff(['assign', '--company', room.company, ...more]);
const preview = (document, property = room.property) => tariff(['preview', '--company', room.company, '--file', '-', '--property', property], document);
const later = (document, hours = 1) => ({ ...document, effective_from: iso(effective + hours * HOUR_MS) });

async function refuses(run, code, reason) {
  const was = await counts();
  const answer = await run();
  assert.equal(answer.code, code, answer.stdout + answer.stderr);
  assert.match(answer.stderr, reason);
  assert.equal(answer.stderr.trim().split('\n').length, 1);
  assert.deepEqual(await counts(), was, 'nothing was written');
}

async function journal(at, value) {
  const record = Buffer.alloc(32);
  record.writeBigInt64LE(room.channel_num, 0);
  record.writeBigInt64LE(BigInt(at), 8);
  record.writeBigInt64LE(value, 16);
  record.writeInt32LE(room.company_id, 28);
  await stack.query('insert into ingest.reading_block (partition, id, received_at, record_count, records) values ($1, $2, now(), 1, $3)',
    [room.partition, ++blocks, record], { user: 'penstock_ingest' });
  await waitFor(async () => (await stack.value('select last_value from billing.point where num = $1', [room.num])) === value, { what: 'the reading charged' });
}

const charged = async (after) => stack.query(`
  select c.amount_micro, v.version from billing.charge c join core.tariff_version v on v.num = c.tariff_version_num
  where c.usage_point_num = $1 and c.to_at > $2 order by c.to_at, c.id`, [room.num, new Date(after)]).then(({ rows }) => rows);

test('check says what a document is, or why it is refused', async () => {
  const { code, stdout } = await tariff(['check', '-'], published);
  assert.equal(code, 0);
  assert.match(stdout, /^code +office-single-price\nutility +electricity, CNY per kWh\neffective from +\S+ Asia\/Shanghai\nperiods +1: flat\ntiers +1\nlines +2: energy \(quantity\), VAT \(percent\)\ncharging +yes\n$/);
  const demand = { ...published, lines: [...published.lines, { name: 'capacity', kind: 'demand', price: '10', basis: 'max_demand_kw' }] };
  assert.match((await tariff(['check', '-'], demand)).stdout, /capacity \(demand\)\ncharging +yes/);
  await refuses(() => tariff(['check', '-'], { ...published, currency: 'XYZ' }), 2, /\/currency/);
  await refuses(() => tariff(['check', '-'], '{'), 2, /line 1/);
  await refuses(() => tariff(['check']), 2, /FILE/);
});

test('preview tells points and prices, and writes nothing', async () => {
  const was = await counts();
  const { code, stdout, stderr } = await preview(published);
  assert.equal(code, 0, stderr);
  const priced = Number(/^(\d+) usage points of/.exec(stdout)[1]);
  assert.ok(priced > 0 && stdout.includes(room.id), stdout);
  assert.match(stdout, /office-single-price version 1 -> version 2\n/);
  assert.match(stdout, / {2}energy, flat: 0\.823 -> 1 {2}changed\n {2}VAT, rate: 0\.13 -> 0\.13\n/);
  assert.match(stdout, /periods: 0 of the 35040 quarter hours/);
  const tiered = { ...published, tiers: { over: 'month', kind: 'graduated', upper: ['60'] } };
  tiered.lines = [{ name: 'energy', kind: 'quantity', prices: { flat: ['0.823', '2'] } }];
  const { stdout: tiers } = await preview(tiered);
  assert.match(tiers, /energy, flat tier 1: 0\.823 -> 0\.823\n {2}energy, flat tier 2: 0\.823 -> 2 {2}changed\n {2}tiers, upper edge tier 1: none -> 60 {2}changed\n {2}VAT, rate: 0\.13 -> none {2}changed/);
  const { stdout: single } = await preview({ ...published, code: 'resident-year-tiers' });
  assert.match(single, /tier 1: 0\.617 -> 1 {2}changed\n.*tier 2: 0\.667 -> 1 {2}changed\n.*tier 3: 0\.917 -> 1 {2}changed\n {2}VAT, rate: none -> 0\.13 {2}changed\n {2}tiers, upper edge tier 1: 3120 -> none/);
  const night = { ...published, periods: ['flat', 'valley'], lines: [{ name: 'energy', kind: 'quantity', prices: { flat: '0.823', valley: '0.4' } }] };
  night.calendar = [{ from: '01-01', to: '12-31', days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'holiday', 'workday'],
    bands: [{ from: '06:00', to: '22:00', period: 'flat' }, { from: '22:00', to: '06:00', period: 'valley' }] }];
  assert.match((await preview(night)).stdout, /energy, valley: none -> 0\.4 {2}changed\n[^]*periods: 11680 of the 35040/);
  assert.match((await preview({ ...published, code: 'unheard-of' })).stdout, /^0 usage points[^]*with none in force before/);
  await refuses(() => preview(published, 'nowhere'), 2, /no property 'nowhere'/);
  await refuses(() => preview({ ...published, currency: 'USD' }), 1, /would be refused: \/currency/);
  assert.deepEqual(await counts(), was);
});

test('what may not be published is refused', async () => {
  await refuses(() => publish({ ...published, rounding: undefined }), 2, /rounding/);
  await refuses(() => publish(room.document), 1, /published already: version 1/);
  await refuses(() => publish({ ...published, effective_from: '2024-01-01T00:00:00+08:00' }), 1, /must lie after .*--retroactive/);
  await refuses(() => publish({ ...published, effective_from: '2025-01-01T00:00:00+08:00' }), 1, /lies in the past.*--retroactive/);
  await refuses(() => publish({ ...published, currency: 'USD' }), 1, /\/currency: the tariff's is CNY/);
  await refuses(() => publish({ ...published, time_zone: 'Asia/Tokyo' }), 1, /\/time_zone: the tariff's is Asia\/Shanghai/);
  await refuses(() => publish({ ...published, utility: 'gas', unit: 'm3' }), 1, /\/utility: the tariff is for electricity/);
  const demand = { ...published, lines: [...published.lines, { name: 'capacity', kind: 'demand', price: '10', basis: 'kw' }] };
  await refuses(() => publish(demand), 2, /\/lines/);
  await refuses(() => publish(published, '--name', 'Other'), 2, /--name/);
  await refuses(() => tariff(['publish', '--company', 'nobody', '--file', '-'], published), 2, /no company 'nobody'/);
  await refuses(() => tariff(['publish', '--company', room.company]), 2, /--file/);
});

test('a version is published with its audit row', async () => {
  const { code, stdout, stderr } = await publish(published);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^office-single-price version 2, from \S+\+08:00\n$/);
  await refuses(() => publish(published), 1, /published already: version 2/);
  const { rows } = await stack.query("select a.detail, t.code from core.audit a join core.tariff t on t.id = a.subject_id where action = 'tariff_publish'");
  assert.deepEqual(rows, [{ code: 'office-single-price',
    detail: { code: 'office-single-price', version: 2, effective_from: iso(effective).replace('.000', ''), retroactive: false } }]);
});

test('billing charges by it from its instant on', async () => {
  const from = room.last_at.getTime();
  await journal(from + 12 * HOUR_MS, room.last_value + 24_000n); // six hours on each side
  const crossing = await charged(from);
  const sum = crossing.reduce((total, { amount_micro: amount }) => total + amount, 0n);
  assert.ok(sum >= 24_710_000n && sum <= 24_730_000n, `12 kWh at 0.823 and 12 at 1, taxed, are 24.72: ${sum}`);
  await journal(from + 13 * HOUR_MS, room.last_value + 34_000n);
  const [after] = await charged(from + 12 * HOUR_MS);
  assert.equal(after.version, 2);
  assert.ok(after.amount_micro >= 11_290_000n && after.amount_micro <= 11_310_000n, `10 kWh at 1, taxed: ${after.amount_micro}`);
  const { code, stdout } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 0, stdout);
});

test('what may not be assigned is refused', async () => {
  const other = { ...published, lines: [published.lines[0]] };
  for (const [name, change] of [['in-usd', { currency: 'USD' }], ['in-tokyo', { time_zone: 'Asia/Tokyo' }], ['of-gas', { utility: 'gas', unit: 'm3' }], ['night', {}]])
    assert.equal((await publish({ ...other, ...change, code: name }, '--name', name)).code, 0, name);
  const at = iso(effective + 20 * HOUR_MS);
  const property = ['--property', room.property], point = ['--usage-point', room.id];
  await refuses(() => assign('--tariff', 'in-usd', ...property, '--from', at), 1, /currency is USD, the property's CNY/);
  await refuses(() => assign('--tariff', 'in-tokyo', ...point, '--from', at), 1, /time zone is Asia\/Tokyo, the property's Asia\/Shanghai/);
  await refuses(() => assign('--tariff', 'of-gas', ...point, '--from', at), 1, /for gas, the usage point for electricity/);
  await refuses(() => assign('--tariff', 'of-gas', ...property, '--from', at), 1, /nobody sells gas/);
  await refuses(() => assign('--tariff', 'night', ...point, '--from', iso(effective - HOUR_MS)), 1, /--from: lies before .*first version/);
  await refuses(() => assign('--tariff', room.tariff, ...point, '--from', '2026-01-01T00:00:00Z'), 1, /--from: lies in the past; or give --retroactive/);
  await refuses(() => assign('--tariff', 'none', ...point, '--from', at), 2, /no tariff 'none'/);
  await refuses(() => assign('--tariff', 'night', '--property', 'none', '--from', at), 2, /no property 'none'/);
  await refuses(() => assign('--tariff', 'night', '--usage-point', '01890000-0000-7000-8000-000000000000', '--from', at), 2, /no usage point/);
  await refuses(() => assign('--tariff', 'night', ...point, '--from', 'tomorrow'), 2, /--from: 'tomorrow'/);
  await refuses(() => assign('--tariff', 'night', ...point, ...property, '--from', at), 2, /one of --property and --usage-point/);
});

test('an assignment says what it replaces, prices, and is listed', async () => {
  const from = effective + 20 * HOUR_MS;
  const { code, stdout, stderr } = await assign('--tariff', 'night', '--usage-point', room.id, '--from', iso(from));
  assert.equal(code, 0, stderr);
  assert.ok(stdout.includes(room.id));
  assert.match(stdout, room.is_own ? /replaces office-single-price, assigned from/ : /replaces office-single-price, the property's default, assigned from/);
  assert.match((await assign('--tariff', 'night', '--usage-point', room.id, '--from', iso(from + HOUR_MS))).stdout, /replaces night, assigned from/);
  assert.equal(await stack.value("select count(*)::integer from core.audit where action = 'tariff_assign' and detail ->> 'usage_point' = $1", [room.id]), 2);

  await journal(from, room.last_value + 40_000n);
  await journal(from + HOUR_MS, room.last_value + 50_000n); // 10 kWh at 1, no tax
  const [last] = (await charged(from)).slice(-1);
  assert.ok(last.amount_micro >= 9_990_000n && last.amount_micro <= 10_010_000n, String(last.amount_micro));
  const verified = await stack.ctl(['ledger', 'verify']);
  assert.equal(verified.code, 0, verified.stdout);

  const { stdout: listed } = await tariff(['list', '--company', room.company, '--property', room.property]);
  assert.match(listed, /office-single-price {2}electricity {2}办公单一电价\n {2}version 1 .* now\n {2}version 2 (?!.*now)/);
  assert.match(listed, new RegExp(`${room.property} {2}${room.id} {2}electricity {2}night`));
  assert.ok(!listed.includes('in-usd'), 'not assigned here');
  assert.ok((await tariff(['list', '--company', room.company])).stdout.includes('in-usd'));
  await refuses(() => tariff(['list', '--company', room.company, '--property', 'none']), 2, /no property/);
});

test('--retroactive changes nothing that was charged already: the ledger stays proven', async () => {
  const past = { ...later(published, -5), lines: [published.lines[0]] };
  await refuses(() => publish(past), 1, /--retroactive/);
  assert.equal((await publish(past, '--retroactive')).code, 0);
  const { code, stdout } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 0, stdout);
  const assigned = await assign('--tariff', 'office-single-price', '--usage-point', room.id, '--from', '2026-01-01T00:00:00Z', '--retroactive');
  assert.equal(assigned.code, 0, assigned.stderr);
  assert.equal((await stack.ctl(['ledger', 'verify'])).code, 0);
});

test('of two that publish the same at once, one is refused', async () => {
  const was = await count('core.tariff_version');
  const answers = await Promise.all([publish(later(published, 30)), publish(later(published, 30))]);
  assert.deepEqual(answers.map(({ code }) => code).sort(), [0, 1]);
  assert.match(answers.find(({ code }) => code === 1).stderr, /published already/);
  assert.equal(await count('core.tariff_version'), was + 1);
});
