// Every request that one company can make, made by the others. Each company's whole api is walked by its own manager and
// every request recorded; then operators of the other company, of one property, and of nobody replay all of them. Each
// name in the database carries its company's canary: no answer may show a foreign canary or id.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { waitFor } from '../../support/wait.mjs';
import { Visitor, World, assertProblem } from '../api/world.mjs';

const contract = parse(readFileSync(fileURLToPath(new URL('../../../services/api/openapi.yaml', import.meta.url)), 'utf8'));
const COMPANIES = ['haigang', 'xuefu'];
const NAMED = ['company', 'legal_entity', 'property', 'place', 'customer', 'usage_point', 'gateway', 'operator'];
const LONG = Boolean(process.env.PENSTOCK_TEST_LONG);
const PER_KIND = LONG ? 1000 : 12; // objects of each kind that are walked

let world, stack;
const nums = {}; // company code → number
const people = {}; // company code → role → visitor
const walks = {}; // company code → recorded requests
const marks = {}; // company code → what only its own people may see
let scoped; // { property, other, visitor, marks }

const canary = (code) => `canary-${code}`;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

async function marksOf(company, property = null) {
  const ids = (await stack.query("select n.nspname || '.' || c.relname as name, exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'property_num') as placed from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attname = 'id' and a.atttypid = 'uuid'::regtype where n.nspname in ('core', 'api', 'ingest', 'payments', 'control') and c.relkind = 'r' and c.relname not in ('meter_model', 'replica')")).rows;
  const found = new Set();
  for (const { name, placed } of ids) {
    if (property !== null && !placed && name !== 'core.property') continue;
    const of = property === null ? '' : placed ? ` and property_num = ${property}` : ` and num = ${property}`;
    for (const row of (await stack.query(`select id from ${name} where company_id = $1${of}`, [company])).rows) found.add(row.id);
  }
  const charges = `select c.id::text as id from billing.charge c join core.usage_point up on up.company_id = c.company_id and up.num = c.usage_point_num where c.company_id = $1${property === null ? '' : ` and up.property_num = ${property}`}`;
  for (const row of (await stack.query(charges, [company])).rows) found.add(row.id);
  return found;
}

// What an answer shows that it must not; what the request itself named is no news.
function leaks(answer, request, foreign, foreignCanary) {
  const text = answer.text + JSON.stringify([...answer.headers]);
  const said = decodeURIComponent(request.path) + JSON.stringify(request.body ?? '') + JSON.stringify(request.headers ?? {});
  const shown = [...text.matchAll(UUID), ...text.matchAll(/\d{10,}/g)].map(([id]) => id).filter((id) => foreign.has(id) && !said.includes(id));
  if (foreignCanary && text.includes(foreignCanary)) shown.push(foreignCanary);
  return shown;
}

const send = (visitor, { method, path, body, headers }) => visitor.ask(method, path, { body, headers });

// Walks everything the visitor may see and records the requests that succeeded.
async function walk(visitor) {
  const recorded = [];
  const ask = async (template, path, { method = 'GET', body, headers, pages = 1 } = {}) => {
    const request = { method, template, path, body, headers };
    const answer = await send(visitor, request);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    recorded.push(request);
    const next = answer.data?.next_cursor;
    if (next && pages > 1) {
      const more = await ask(template, `${path.replace(/[&?]cursor=[^&]*/, '')}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(next)}`, { pages: pages - 1 });
      return { ...more, items: [...(answer.data.items ?? []), ...(more.items ?? [])] };
    }
    return answer.data;
  };
  await ask('/api/v1/session', '/api/v1/session');
  await ask('/api/v1/overview', '/api/v1/overview');
  const properties = await ask('/api/v1/properties', '/api/v1/properties?limit=1', { pages: 5 });
  const points = new Set();
  const accounts = new Set();
  for (const { id } of properties.items) {
    await ask('/api/v1/overview', `/api/v1/overview?property=${id}`);
    const board = await ask('/api/v1/properties/{id}/board', `/api/v1/properties/${id}/board`);
    const rooms = [...new Set([...JSON.stringify(board).matchAll(UUID)].map(([each]) => each))].filter((each) => each !== id);
    let seen = 0;
    for (const room of rooms) {
      const answer = await visitor.get(`/api/v1/rooms/${room}`);
      if (answer.status !== 200) continue;
      recorded.push({ method: 'GET', template: '/api/v1/rooms/{id}', path: `/api/v1/rooms/${room}` });
      for (const [each] of answer.text.matchAll(UUID)) points.add(each);
      if (++seen >= PER_KIND) break;
    }
  }
  for (const row of (await stack.query('select id from core.account where company_id = $1 order by num limit $2', [visitor.num, PER_KIND])).rows) accounts.add(row.id);
  const usable = (await stack.query('select id from core.usage_point where company_id = $1 and id = any($2::uuid[]) order by num limit $3', [visitor.num, [...points], PER_KIND])).rows.map((row) => row.id);
  assert.ok(usable.length > 0, 'rooms show their usage points');
  for (const id of usable) {
    await ask('/api/v1/usage-points/{id}/today', `/api/v1/usage-points/${id}/today`);
    const charges = await ask('/api/v1/usage-points/{id}/charges', `/api/v1/usage-points/${id}/charges?limit=1`, { pages: 3 });
    for (const charge of (charges.items ?? []).slice(0, 1)) await ask('/api/v1/charges/{id}/explanation', `/api/v1/charges/${charge.id}/explanation`);
  }
  for (const id of accounts) {
    const { headers, data } = await visitor.get(`/api/v1/accounts/${id}/thresholds`);
    recorded.push({ method: 'GET', template: '/api/v1/accounts/{id}/thresholds', path: `/api/v1/accounts/${id}/thresholds` });
    const items = data.items.map(({ purpose, alarm_1, alarm_2 }) => ({ purpose, alarm_1, alarm_2 }));
    recorded.push({ method: 'PATCH', template: '/api/v1/accounts/{id}/thresholds', path: `/api/v1/accounts/${id}/thresholds`, body: { items }, headers: { 'if-match': headers.get('etag') } });
  }
  const [{ id: till, number, property }] = (await stack.query("select a.id, a.number, p.id as property from core.account a join core.property p on p.company_id = a.company_id and p.num = a.property_num where a.company_id = $1 and a.closed_at is null order by a.num limit 1", [visitor.num])).rows;
  let moves = 0;
  const move = (template, id, body) => ask(template, template.replace('{id}', id), { method: 'POST', body, headers: { 'idempotency-key': `walk-${++moves}-${id || property}` } });
  const sold = await move('/api/v1/accounts/{id}/sales', till, { purpose: 'electricity', amount: '70.00', method: 'cash' });
  await move('/api/v1/accounts/{id}/refunds', till, { purpose: 'electricity', amount: '0.01', method: 'cash', reason: 'walk' });
  await move('/api/v1/accounts/{id}/adjustments', till, { purpose: 'electricity', amount: '100.00', reason: 'walk' });
  await move('/api/v1/accounts/{id}/preset-credits', till, { purpose: 'electricity', amount: '1.00', reason: 'walk' });
  await move('/api/v1/sales/{id}/reversal', sold.id, { reason: 'walk' });
  const policy = await stack.value('insert into core.sales_policy (company_id, second_person_above_micro) values ($1, 0) returning num', [visitor.num]);
  const waiting = await move('/api/v1/accounts/{id}/sales', till, { purpose: 'electricity', amount: '2.00', method: 'bank' });
  await stack.query('update api.sale set operator_num = (select num from core.operator where company_id = $1 and login <> $3 order by num limit 1) where id = $2', [visitor.num, waiting.id, 'manager']);
  await move('/api/v1/sales/{id}/decision', waiting.id, { decision: 'approve' });
  await stack.query('delete from core.sales_policy where num = $1', [policy]);
  await ask('/api/v1/sales/{id}', `/api/v1/sales/${sold.id}`);
  await ask('/api/v1/sales/{id}/receipt', `/api/v1/sales/${sold.id}/receipt`, { method: 'POST' });
  await ask('/api/v1/sales', '/api/v1/sales?limit=1', { pages: 2 });
  await ask('/api/v1/sales-day', `/api/v1/sales-day?property=${property}`);
  await ask('/api/v1/accounts/{id}/statement', `/api/v1/accounts/${till}/statement`, { pages: 2 });
  const file = await move('/api/v1/bulk-sales', '', { property, file_name: 'walk.csv', csv: `account,purpose,amount,reference\n${number},electricity,3.00,walk` });
  await move('/api/v1/bulk-sales/{id}/confirmation', file.id);
  await ask('/api/v1/bulk-sales/{id}', `/api/v1/bulk-sales/${file.id}`);
  await move('/api/v1/accounts/{id}/zeroing', till, { purpose: 'electricity', reason: 'walk' });
  await stack.query(
    `insert into core.merchant (company_id, id, legal_entity_num, channel, mode, merchant, app, base_url, created_at)
     select s.company_id, gen_random_uuid(), s.legal_entity_num, 'wechat', 'direct', '1900000001', 'wx1', 'http://127.0.0.1:9', now()
     from core.property_seller s join core.property p on p.company_id = s.company_id and p.num = s.property_num where p.id = $1 and s.item = 'electricity'`, [property]);
  const supplied = (await stack.query('select id from core.usage_point where company_id = $1 order by num limit 2', [visitor.num])).rows;
  for (const { id } of supplied) {
    const path = `/api/v1/usage-points/${id}/supply`;
    const wish = await ask('/api/v1/usage-points/{id}/supply', path, { method: 'POST', body: { action: 'off', reason: 'walk' }, headers: { 'idempotency-key': `walk-supply-${id}` } });
    await ask('/api/v1/supply-requests/{id}', `/api/v1/supply-requests/${wish.id}`);
    await ask('/api/v1/usage-points/{id}/supply', path);
  }
  const order = await move('/api/v1/accounts/{id}/orders', till, { purpose: 'electricity', amount: '8.00' });
  await move('/api/v1/accounts/{id}/orders', till, { purpose: 'electricity', amount: '9.00' });
  await ask('/api/v1/orders/{id}', `/api/v1/orders/${order.id}`);
  await ask('/api/v1/accounts/{id}/orders', `/api/v1/accounts/${till}/orders?limit=1`, { pages: 2 });
  await ask('/api/v1/orders/{id}/close', `/api/v1/orders/${order.id}/close`, { method: 'POST' });
  const askable = (await stack.query(
    `select distinct up.id from core.usage_point up join core.channel_installation ci on ci.company_id = up.company_id and ci.usage_point_num = up.num and ci.to_at is null
     join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
     join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num where up.company_id = $1 and g.kind = 'dtu_tcp' limit 2`, [visitor.num])).rows;
  for (const { id } of askable) {
    const headers = { 'idempotency-key': `walk-${id}` };
    const { id: request } = await ask('/api/v1/usage-points/{id}/read-now', `/api/v1/usage-points/${id}/read-now`, { method: 'POST', headers });
    await ask('/api/v1/read-requests/{id}', `/api/v1/read-requests/${request}`);
  }
  return recorded;
}

// An operator with the manager's password hash and one role; property null: the whole company; role null: none.
async function hire(code, login, role, property = null) {
  const num = await stack.value(
    `insert into core.operator (company_id, id, login, name, password_hash) select company_id, gen_random_uuid(), $2, $3, password_hash
     from core.operator where company_id = $1 and login = 'manager' returning num`, [nums[code], login, `${login} ${canary(code)}`]);
  if (role) await stack.query('insert into core.operator_role (company_id, operator_num, role, property_num) values ($1, $2, $3, $4)', [nums[code], num, role, property]);
  world.logIns.push({ ...world.who(code), login });
  const visitor = await world.logIn(code, login);
  return Object.assign(visitor, { num: nums[code], login, role });
}

before(async () => {
  world = await World.create();
  stack = world.stack;
  for (const code of COMPANIES) {
    nums[code] = await world.companyNum(code);
    for (const table of NAMED) await stack.query(`update core.${table} set name = left(name, 20) || ' ' || $2 where company_id = $1`, [nums[code], canary(code)]);
    await stack.query("update core.account set number = number || '-' || $2 where company_id = $1", [nums[code], canary(code)]);
    people[code] = { manager: Object.assign(await world.logIn(code), { num: nums[code] }), viewer: Object.assign(await world.logIn(code, 'viewer'), { num: nums[code] }) };
    people[code].technician = await hire(code, 'technician', 'technician');
    people[code].nobody = await hire(code, 'nobody', null);
  }
  const [first, second] = (await stack.query('select num, id from core.property where company_id = $1 order by num', [nums.haigang])).rows;
  scoped = { property: first, other: second, visitor: await hire('haigang', 'one-property', 'clerk', first.num) };
  for (const code of COMPANIES) walks[code] = await walk(people[code].manager);
  for (const code of COMPANIES) marks[code] = await marksOf(nums[code]);
  scoped.marks = await marksOf(nums.haigang, second.num);
});
after(() => world?.stop());

test('the walk took every route of the contract', (t) => {
  const elsewhere = new Set(['POST /api/v1/session', 'DELETE /api/v1/session', 'GET /api/v1/events']); // no company yet; only one's own; below
  const known = Object.entries(contract.paths).flatMap(([path, methods]) => Object.keys(methods).filter((m) => m !== 'parameters').map((method) => `${method.toUpperCase()} ${path}`));
  for (const code of COMPANIES) {
    const taken = new Set(walks[code].map(({ method, template }) => `${method} ${template}`));
    assert.deepEqual(known.filter((route) => !taken.has(route) && !elsewhere.has(route)), []);
    t.diagnostic(`${code}: ${walks[code].length} requests, ${marks[code].size} ids`);
  }
});

test('canaries and ids are in the own answers: the search can find something', async () => {
  for (const code of COMPANIES) {
    let found = 0;
    for (const request of walks[code].filter(({ method }) => method === 'GET')) {
      const answer = await send(people[code].manager, request);
      assert.equal(answer.status, 200, request.path);
      if (leaks(answer, { path: '' }, marks[code], canary(code)).length > 0) found++;
    }
    assert.ok(found > walks[code].length / 4, `${found} of ${walks[code].length}`);
  }
});

const fingerprint = () =>
  stack.value(`select md5((select string_agg(p::text, ',' order by num) from core.purse p) || (select count(*) from api.read_request) || (select count(*) from api.outbox)
    || (select string_agg(o::text, ',' order by num) from payments.payment_order o)
    || (select count(*) from control.request)
    || (select count(*) from api.sale) || (select count(*) from api.bulk_sale) || (select count(*) from billing.transfer)
    || (select count(*) from core.audit) || (select count(*) from api.idempotency))`);

for (const [from, to] of [COMPANIES, [...COMPANIES].reverse()]) {
  for (const role of ['manager', 'viewer', 'technician', 'nobody']) {
    test(`${from}'s ${role} replays all of ${to}: nothing is told and nothing changes`, async (t) => {
      const before = await fingerprint();
      const wrong = [];
      for (const request of walks[to]) {
        const answer = await send(people[from][role], request);
        const names = request.template.includes('{') || request.body?.property !== undefined || /[?&](property|cursor)=/.test(request.path);
        const allowed = names ? [403, 404, 422] : role === 'nobody' ? [200, 403] : [200];
        if (!allowed.includes(answer.status)) wrong.push(`${request.method} ${request.path}: ${answer.status}`);
        for (const leak of leaks(answer, request, marks[to], canary(to))) wrong.push(`${request.method} ${request.path} shows ${leak}`);
      }
      assert.deepEqual(wrong, []);
      assert.equal(await fingerprint(), before);
      t.diagnostic(`${walks[to].length} attempts`);
    });
  }
}

test('own objects with foreign cursors, keys, versions and tokens', async () => {
  for (const [from, to] of [COMPANIES, [...COMPANIES].reverse()]) {
    const visitor = people[from].manager;
    const own = (template, method = 'GET') => walks[from].find((r) => r.template === template && r.method === method);
    const cursors = walks[to].map(({ path, template }) => ({ template, cursor: /[?&]cursor=([^&]+)/.exec(path)?.[1] })).filter(({ cursor }) => cursor);
    assert.ok(cursors.length > 2);
    for (const { template, cursor } of cursors) {
      const request = own(template);
      const path = `${request.path.split('?')[0]}?limit=1&cursor=${cursor}`;
      const answer = await visitor.get(path);
      assert.equal(answer.status, 422, `${path}: ${answer.text}`);
      assert.deepEqual(leaks(answer, { path }, marks[to], canary(to)), []);
    }
    // The other's Idempotency-Key is a key like any other, and brings its answer to nobody else.
    const theirs = walks[to].find(({ method }) => method === 'POST');
    const mine = own('/api/v1/usage-points/{id}/read-now', 'POST');
    const answer = await visitor.ask('POST', mine.path, { headers: theirs.headers });
    assert.equal(answer.status, 202, answer.text);
    assert.deepEqual(leaks(answer, mine, marks[to], canary(to)), []);
    // A session's token under the other's number.
    const [, token] = visitor.cookie.split('.');
    const forged = new Visitor(world.url);
    forged.cookie = `penstock_session=${nums[to]}.${token}`;
    assertProblem(await forged.get('/api/v1/session'), 401, 'unauthentic');
    forged.cookie = `${visitor.cookie}; penstock_session=${nums[to]}.${token}`;
    assert.deepEqual(leaks(await forged.get('/api/v1/overview'), { path: '' }, marks[to], canary(to)), []);
    // Headers that other systems trust.
    for (const header of ['x-company', 'x-tenant', 'x-forwarded-user', 'app.company'])
      assert.deepEqual(leaks(await visitor.get('/api/v1/overview', { [header]: String(nums[to]) }), { path: '' }, marks[to], canary(to)), []);
  }
});

test('filters that try to be more', async () => {
  const visitor = people.haigang.manager;
  const id = [...marks.xuefu].find((each) => each.includes('-'));
  const odd = ['%27 or 1=1 --', '%00', `${id}%00`, '..%2f..', '*', `${id},${id}`, 'null', '0', '-1', '%F0%9F%94%8C'];
  for (const value of odd) {
    for (const path of [`/api/v1/overview?property=${value}`, `/api/v1/properties/${value}/board`, `/api/v1/rooms/${value}`, `/api/v1/charges/${value}/explanation`, `/api/v1/properties?cursor=${value}`, `/api/v1/properties?company=${nums.xuefu}&company_id=${nums.xuefu}`]) {
      const answer = await visitor.get(path);
      assert.ok(answer.status < 500, `${path}: ${answer.status} ${answer.text}`);
      assert.deepEqual(leaks(answer, { path: '' }, new Set([...marks.xuefu].filter((each) => each !== id)), canary('xuefu')), [], path);
    }
  }
});

test('an operator of one property replays all of his company: the other property stays unseen', async (t) => {
  const wrong = [];
  let refused = 0;
  const before = await fingerprint();
  for (const request of walks.haigang.filter(({ method }) => method === 'GET')) {
    const answer = await send(scoped.visitor, request);
    if (answer.status !== 200) refused++;
    if (![200, 404, 422].includes(answer.status)) wrong.push(`${request.path}: ${answer.status}`);
    for (const leak of leaks(answer, answer.status === 200 ? { path: '' } : request, scoped.marks)) wrong.push(`${request.path} shows ${leak}`);
  }
  for (const request of walks.haigang.filter(({ method, path }) => method !== 'GET' && [...scoped.marks].some((mark) => path.includes(mark)))) {
    const answer = await send(scoped.visitor, request);
    if (answer.status !== 404) wrong.push(`${request.method} ${request.path}: ${answer.status}`);
  }
  assert.deepEqual(wrong, []);
  assert.equal(await fingerprint(), before);
  assert.ok(refused > 5);
  t.diagnostic(`${refused} requests refused`);
});

test('without a session, or with one of an operator who was disabled, every route is shut', async () => {
  const fired = await hire('haigang', 'fired', 'manager');
  assert.equal((await fired.get('/api/v1/overview')).status, 200);
  await stack.query("update core.operator set disabled_at = '2026-01-01' where company_id = $1 and login = 'fired'", [nums.haigang]);
  const before = await fingerprint();
  for (const visitor of [new Visitor(world.url), fired]) {
    const events = await visitor.get('/api/v1/events');
    assertProblem(events, 401, 'unauthentic');
    const once = new Map(walks.haigang.map((request) => [`${request.method} ${request.template}`, request]));
    for (const request of once.values()) {
      const answer = await send(visitor, request);
      assertProblem(answer, 401, 'unauthentic');
      assert.deepEqual(leaks(answer, request, marks.haigang, canary('haigang')), []);
    }
  }
  assert.equal(await fingerprint(), before);
});

test('what another site makes a browser send changes nothing', async () => {
  const before = await fingerprint();
  const edits = walks.haigang.filter(({ method }) => method !== 'GET');
  for (const request of new Map(edits.map((each) => [each.template, each])).values())
    for (const foreign of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }]) {
      const headers = { ...request.headers, ...foreign, ...(request.method === 'POST' ? { 'idempotency-key': randomBytes(8).toString('hex') } : {}) };
      assertProblem(await send(people.haigang.manager, { ...request, headers }), 403, 'csrf');
    }
  assert.equal(await fingerprint(), before);
});

test('the event streams keep to their company, whatever number they go on from', async () => {
  const ring = (code, property) => stack.redis('XADD', 'board', '*', 'e', JSON.stringify({ company: Number(nums[code]), properties: [Number(property)] }));
  const rename = async (code, name) => {
    const row = (await stack.query(
      `select ag.customer_num, a.property_num from core.usage_point_account h join core.account a on a.company_id = h.company_id and a.num = h.account_num
       join core.agreement ag on ag.company_id = a.company_id and ag.num = a.agreement_num where h.company_id = $1 and h.to_at is null order by h.usage_point_num limit 1`, [nums[code]])).rows[0];
    await stack.query('update core.customer set name = $3 where company_id = $1 and num = $2', [nums[code], row.customer_num, name]);
    await ring(code, row.property_num);
  };
  const renamed = (name) => (each) => each.event === 'board.changed' && each.data.rooms.some((room) => room.customer === name);
  const mine = people.haigang.manager.listen();
  const theirs = people.xuefu.manager.listen();
  const streams = [mine, theirs];
  try {
    for (const stream of streams) await stream.until((event) => event.event === 'reset');
    await rename('xuefu', `first ${canary('xuefu')}`);
    const { id } = await theirs.until(renamed(`first ${canary('xuefu')}`));
    const behind = people.haigang.manager.listen('', { 'last-event-id': String(Number(id) - 1) });
    const asked = people.haigang.manager.listen(`?last_event_id=${Number(id) - 1}`);
    streams.push(behind, asked);
    await rename('haigang', `second ${canary('haigang')}`);
    for (const stream of [mine, behind, asked]) await stream.until((each) => each.event === 'board.changed' || each.event === 'reset');
    await mine.until(renamed(`second ${canary('haigang')}`));
    await rename('xuefu', `third ${canary('xuefu')}`);
    await theirs.until(renamed(`third ${canary('xuefu')}`));
    await waitFor(async () => (await stack.value('select count(*) from api.event_feed where company_id = $1', [nums.xuefu])) >= 2n, { what: 'the feed' });
    for (const stream of [mine, behind, asked]) {
      const text = JSON.stringify(stream.events) + stream.text;
      assert.ok(!text.includes(canary('xuefu')));
      assert.deepEqual([...text.matchAll(UUID)].map(([each]) => each).filter((each) => marks.xuefu.has(each)), []);
    }
    assert.ok(!JSON.stringify(theirs.events).includes(canary('haigang')));
    const property = (await stack.value('select id from core.property where company_id = $1 limit 1', [nums.xuefu]));
    assertProblem(await people.haigang.manager.get(`/api/v1/events?property=${property}`), 404, 'not-found');
  } finally {
    streams.forEach((each) => each.stop());
  }
});

test('logs of the services tell no secret and no token', () => {
  for (const service of [world.api, world.billing])
    for (const visitor of Object.values(people).flatMap((each) => Object.values(each))) assert.ok(!service.output.includes(visitor.cookie.split('.')[1]));
});
