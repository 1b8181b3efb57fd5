// The api from outside, on real PostgreSQL and Redis, with billing beside it.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { runProgram } from '../../support/child.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Visitor, World, assertProblem, code } from './world.mjs';

const CONTRACT = fileURLToPath(new URL('../../../services/api/openapi.yaml', import.meta.url));
const CONTRACT_TEST = fileURLToPath(new URL('../../e2e/contract/contract.test.mjs', import.meta.url));
const contract = parse(readFileSync(CONTRACT, 'utf8'));
const web = mkdtempSync(path.join(tmpdir(), 'penstock-web-'));
writeFileSync(path.join(web, 'index.html'), '<p>dashboard</p>');

let world, stack, manager, viewer, stranger;
before(async () => {
  world = await World.create({ env: { PENSTOCK_WEB_DIR: web } });
  stack = world.stack;
  manager = await world.logIn('haigang');
  viewer = await world.logIn('haigang', 'viewer');
  stranger = await world.logIn('xuefu');
});
after(async () => {
  await world?.stop();
  rmSync(web, { recursive: true });
});

// Ids of everything a company has that a route can name.
async function idsOf(companyCode) {
  const company = await world.companyNum(companyCode);
  const one = (sql) => stack.value(sql, [company]);
  const point = "select up.id from core.usage_point up join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num and h.to_at is null";
  return {
    property: await one('select id from core.property where company_id = $1 order by num limit 1'),
    room: await one("select id from core.place where company_id = $1 and kind = 'room' order by num limit 1"),
    usagePoint: await one(`${point} where up.company_id = $1 order by up.num limit 1`),
    charge: String(await one('select c.id from billing.charge c join core.usage_point_account h on h.company_id = c.company_id and h.usage_point_num = c.usage_point_num and h.account_num = c.account_num and h.to_at is null where c.company_id = $1 order by c.id desc limit 1')),
    account: await one('select a.id from core.account a where a.company_id = $1 and a.closed_at is null order by a.num limit 1'),
  };
}

// A usage point behind a gateway that can be asked.
const askablePoint = async (companyCode) =>
  stack.value(
    `select up.id from core.usage_point up join core.channel_installation ci on ci.company_id = up.company_id and ci.usage_point_num = up.num and ci.to_at is null
     join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
     join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num
     where up.company_id = $1 and g.kind = 'dtu_tcp' order by up.num limit 1`,
    [await world.companyNum(companyCode)],
  );

describe('sessions', () => {
  test('the cookie is out of reach of scripts and other sites; its token is not stored', async () => {
    const visitor = new Visitor(world.url);
    const answer = await visitor.post('/api/v1/session', world.who('haigang'));
    const [cookie] = answer.headers.getSetCookie();
    assert.match(cookie, /^penstock_session=\d+\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
    const token = /=([^;]+)/.exec(cookie)[1];
    assert.equal(await stack.value('select count(*) from api.session where token_sha256 = sha256($1::bytea)', [token]), 1n);
    const all = JSON.stringify((await stack.query('select s::text from api.session s')).rows);
    assert.ok(!all.includes(token.split('.')[1]));
    assert.equal(answer.data.operator.login, 'manager');
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  });

  test('a wrong company, login and password are answered alike', async () => {
    const right = world.who('xuefu');
    const answers = await Promise.all(
      [{ ...right, password: 'no' }, { ...right, login: 'nobody' }, { ...right, company: 'none' }, { ...right, company: 'haigang' }].map((body) => new Visitor(world.url).post('/api/v1/session', body)),
    );
    for (const answer of answers) {
      assertProblem(answer, 401, 'wrong-credentials');
      assert.deepEqual({ ...answer.data, instance: '' }, { ...answers[0].data, instance: '' });
      assert.deepEqual(answer.headers.getSetCookie(), []);
    }
  });

  test('bodies that are none are refused with their place', async () => {
    const post = (body) => new Visitor(world.url).post('/api/v1/session', body);
    assertProblem(await post('{'), 400, 'malformed');
    assertProblem(await post('[]'), 422, 'bad-input');
    assertProblem(await post({ company: 'a', login: 'b' }), 422, 'bad-input');
    const extra = await post({ company: 'a', login: 'b', password: 'c', admin: true });
    assertProblem(extra, 422, 'bad-input');
    assert.equal(extra.data.errors[0].pointer, '/admin');
    assertProblem(await post({ company: 'a', login: 'b', password: 'x'.repeat(257) }), 422);
    assertProblem(await post({ company: 1, login: 'b', password: 'c' }), 422);
    assertProblem(await post(JSON.stringify({ company: 'a', login: 'b', password: 'c', more: 'x'.repeat(9000) })), 413);
  });

  test('guessing one login is slowed down, also for the right password, and others are not', async () => {
    const right = world.who('xuefu', 'viewer');
    for (let i = 0; i < 5; i++) assertProblem(await new Visitor(world.url).post('/api/v1/session', { ...right, password: `guess ${i}` }), 401);
    assert.equal(await stack.value("select failures from api.login_delay where login = 'viewer'"), 5);
    await stack.query("update api.login_delay set failures = 8 where login = 'viewer'"); // a delay that a slow machine cannot outwait
    const delayed = await new Visitor(world.url).post('/api/v1/session', right);
    assertProblem(delayed, 429, 'too-many-attempts');
    assert.ok(Number(delayed.headers.get('retry-after')) >= 1);
    assert.equal((await new Visitor(world.url).post('/api/v1/session', world.who('xuefu'))).status, 201, 'another login');
    await stack.query("update api.login_delay set failures = 10 where login = 'viewer'");
    const long = await new Visitor(world.url).post('/api/v1/session', right);
    assert.ok(Number(long.headers.get('retry-after')) > 600, 'the window');
    await stack.query("update api.login_delay set failed_at = failed_at - interval '16 minutes' where login = 'viewer'");
    assert.equal((await new Visitor(world.url).post('/api/v1/session', right)).status, 201);
    assert.equal(await stack.value("select count(*) from api.login_delay where login = 'viewer'"), 0n, 'forgotten after a success');
  });

  test('a token is worth nothing when changed, expired, logged out, or when its operator is disabled', async () => {
    const own = await world.logIn('haigang', 'viewer');
    const digest = [`${own.cookie.split('=')[1]}`];
    const [company, secret] = digest[0].split('.');
    const tokens = ['', 'x', `${company}.`, `${company}.${secret}x`, `${company}.${secret.slice(0, -1)}`, `${Number(company) + 1}.${secret}`, `0${company}.${secret}`, `-1.${secret}`, `99999999999.${secret}`, secret, `${company}.${'A'.repeat(43)}`];
    for (const token of tokens) {
      const visitor = new Visitor(world.url);
      visitor.cookie = `penstock_session=${token}`;
      assertProblem(await visitor.get('/api/v1/session'), 401, 'unauthentic');
    }
    assert.equal((await own.get('/api/v1/session')).status, 200);
    const disable = (value) => stack.query(`update core.operator set disabled_at = ${value} where login = 'viewer' and company_id = $1`, [company]);
    await disable("'2026-01-01'");
    assertProblem(await own.get('/api/v1/session'), 401);
    await disable('null');
    assert.equal((await own.get('/api/v1/session')).status, 200);
    await stack.query("update api.session set expires_at = now() - interval '1 second' where token_sha256 = sha256($1::bytea)", digest);
    assertProblem(await own.get('/api/v1/session'), 401);
    const other = await world.logIn('haigang', 'viewer');
    const out = await other.delete('/api/v1/session');
    assert.equal(out.status, 204);
    assert.match(out.headers.getSetCookie()[0], /^penstock_session=; .*Max-Age=0/);
    assertProblem(await other.get('/api/v1/session'), 401);
    assert.equal((await other.delete('/api/v1/session')).status, 204, 'once more harms nobody');
  });

  test('what another site makes a browser send is refused', async () => {
    const host = new URL(world.url).host;
    const key = () => ({ 'idempotency-key': randomBytes(8).toString('hex') });
    const { account } = await idsOf('haigang');
    const point = await askablePoint('haigang');
    for (const headers of [{ origin: 'http://evil.example' }, { origin: 'null' }, { origin: `http://${host}.evil.example` }, { origin: `ftp://${host}` }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) {
      assertProblem(await manager.ask('POST', `/api/v1/usage-points/${point}/read-now`, { headers: { ...headers, ...key() } }), 403, 'csrf');
      assertProblem(await manager.patch(`/api/v1/accounts/${account}/thresholds`, { items: [] }, { ...headers, 'if-match': '"v1"' }), 403, 'csrf');
      assertProblem(await manager.delete('/api/v1/session', headers), 403, 'csrf');
      assertProblem(await new Visitor(world.url).post('/api/v1/session', world.who('haigang'), headers), 403, 'csrf');
    }
    assert.equal((await manager.get('/api/v1/session')).status, 200, 'and the session lives');
    const own = await manager.ask('POST', `/api/v1/usage-points/${point}/read-now`, { headers: { origin: `http://${host}`, 'sec-fetch-site': 'same-origin', ...key() } });
    assert.equal(own.status, 202, own.text);
  });
});

describe('companies and scopes', () => {
  // Every template of the contract with an id, and which id it takes. A route without an entry fails.
  const KIND = {
    '/api/v1/properties/{id}/board': 'property', '/api/v1/rooms/{id}': 'room', '/api/v1/usage-points/{id}/today': 'usagePoint',
    '/api/v1/usage-points/{id}/charges': 'usagePoint', '/api/v1/charges/{id}/explanation': 'charge', '/api/v1/usage-points/{id}/read-now': 'usagePoint',
    '/api/v1/read-requests/{id}': 'readRequest', '/api/v1/accounts/{id}/thresholds': 'account',
    '/api/v1/accounts/{id}/statement': 'account', '/api/v1/accounts/{id}/sales': 'account', '/api/v1/accounts/{id}/refunds': 'account',
    '/api/v1/accounts/{id}/adjustments': 'account', '/api/v1/accounts/{id}/preset-credits': 'account', '/api/v1/accounts/{id}/zeroing': 'account',
    '/api/v1/sales/{id}': 'sale', '/api/v1/sales/{id}/reversal': 'sale', '/api/v1/sales/{id}/decision': 'sale', '/api/v1/sales/{id}/receipt': 'sale',
    '/api/v1/bulk-sales/{id}': 'bulkSale', '/api/v1/bulk-sales/{id}/confirmation': 'bulkSale',
    '/api/v1/accounts/{id}/orders': 'account', '/api/v1/orders/{id}': 'order', '/api/v1/orders/{id}/close': 'order',
    '/api/v1/usage-points/{id}/supply': 'usagePoint', '/api/v1/supply-requests/{id}': 'supplyRequest',
  };
  // A body that would be right, so that nothing but the id can be wrong.
  const MONEY = { purpose: 'electricity', amount: '1.00' };
  const BODIES = {
    '/api/v1/accounts/{id}/sales': { ...MONEY, method: 'cash' }, '/api/v1/accounts/{id}/refunds': { ...MONEY, method: 'cash', reason: 'attack' },
    '/api/v1/accounts/{id}/adjustments': { ...MONEY, reason: 'attack' }, '/api/v1/accounts/{id}/preset-credits': { ...MONEY, reason: 'attack' },
    '/api/v1/accounts/{id}/zeroing': { purpose: 'electricity', reason: 'attack' }, '/api/v1/sales/{id}/reversal': { reason: 'attack' },
    '/api/v1/sales/{id}/decision': { decision: 'approve' },
    '/api/v1/accounts/{id}/orders': MONEY, '/api/v1/usage-points/{id}/supply': { action: 'off', reason: 'attack' },
  };
  const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
  const EXTRA = {
    post: { headers: { 'idempotency-key': 'attack-attack' } },
    patch: { headers: { 'if-match': '"v1"' }, body: { items: [{ purpose: 'electricity', alarm_1: '1', alarm_2: '0' }] } },
  };

  test("every route answers another company's ids as it answers ids that never were", async () => {
    const theirs = await idsOf('xuefu');
    theirs.readRequest = (await stranger.readNow(await askablePoint('xuefu'))).data.id;
    const post = (path, body) => stranger.post(path, body, { 'idempotency-key': randomBytes(8).toString('hex') });
    theirs.sale = (await post(`/api/v1/accounts/${theirs.account}/sales`, { ...MONEY, method: 'cash' })).data.id;
    theirs.bulkSale = (await post('/api/v1/bulk-sales', { property: theirs.property, file_name: 'theirs', csv: 'account,purpose,amount,reference\nx,electricity,1,' })).data.id;
    await stack.query(
      `insert into core.merchant (company_id, id, legal_entity_num, channel, mode, merchant, app, base_url, created_at)
       select distinct on (company_id, legal_entity_num) company_id, gen_random_uuid(), legal_entity_num, 'wechat', 'direct', '1900000001', 'wx1', 'http://127.0.0.1:9', now()
       from core.property_seller where company_id = $1 and item = 'electricity'`, [await world.companyNum('xuefu')]);
    theirs.order = (await post(`/api/v1/accounts/${theirs.account}/orders`, MONEY)).data.id;
    theirs.supplyRequest = (await post(`/api/v1/usage-points/${theirs.usagePoint}/supply`, { action: 'read_state', reason: 'theirs' })).data.id;
    const before = await stack.value('select sum(version) from core.purse');
    let attacked = 0;
    for (const [template, operations] of Object.entries(contract.paths)) {
      if (!template.includes('{')) continue;
      const kind = KIND[template];
      assert.ok(kind, `${template} is not attacked yet`);
      for (const method of METHODS.filter((each) => operations[each])) {
        const ask = (id) => manager.ask(method.toUpperCase(), template.replace('{id}', encodeURIComponent(id)), { ...EXTRA[method], ...(BODIES[template] && method === 'post' ? { body: BODIES[template] } : {}) });
        const [attack, unknown] = [await ask(theirs[kind]), await ask(kind === 'charge' ? '123456' : randomUUID())];
        assertProblem(attack, 404, 'not-found');
        assert.deepEqual({ ...attack.data, instance: '' }, { ...unknown.data, instance: '' }, template);
        if (method === 'get') {
          const own = await stranger.ask('GET', template.replace('{id}', theirs[kind]));
          assert.equal(own.status, 200, `${template} is theirs to see: ${own.text}`);
        }
        attacked++;
      }
    }
    assert.equal(attacked, Object.keys(KIND).length + 3); // three have two methods
    assert.equal(await stack.value('select sum(version) from core.purse'), before, 'nothing changed');
    for (const query of [`/api/v1/overview?property=${theirs.property}`, `/api/v1/events?property=${theirs.property}`]) assertProblem(await manager.get(query), 404, 'not-found');
  });

  test('lists and sums are of the own company alone', async () => {
    const [ours, theirs] = [(await manager.get('/api/v1/properties')).data.items, (await stranger.get('/api/v1/properties')).data.items];
    assert.deepEqual([ours.length, theirs.length], [2, 1]);
    assert.ok(!ours.some((each) => each.id === theirs[0].id));
    const rooms = await stack.query("select company_id, count(*) as n from core.place where kind = 'room' group by 1 order by 1");
    assert.equal(BigInt((await manager.get('/api/v1/overview')).data.rooms), rooms.rows[0].n);
    assert.equal(BigInt((await stranger.get('/api/v1/overview')).data.rooms), rooms.rows[1].n);
  });

  test('an operator of one property does not see the other; a viewer changes nothing', async () => {
    const company = await world.companyNum('haigang');
    const [first, second] = (await stack.query('select num, id from core.property where company_id = $1 order by num', [company])).rows;
    const operator = await stack.value("select num from core.operator where company_id = $1 and login = 'viewer'", [company]);
    const set = (property) => stack.query('update core.operator_role set property_num = $3 where company_id = $1 and operator_num = $2', [company, operator, property]);
    await set(first.num);
    try {
      assert.deepEqual((await viewer.get('/api/v1/properties')).data.items.map((each) => each.id), [first.id]);
      assert.equal((await viewer.get(`/api/v1/properties/${first.id}/board`)).status, 200);
      assertProblem(await viewer.get(`/api/v1/properties/${second.id}/board`), 404);
      assertProblem(await viewer.get(`/api/v1/overview?property=${second.id}`), 404);
      assertProblem(await viewer.get(`/api/v1/events?property=${second.id}`), 404);
      const inside = async (property, sql) => stack.value(sql, [company, property.num]);
      for (const [property, status] of [[first, 200], [second, 404]]) {
        const room = await inside(property, "select id from core.place where company_id = $1 and property_num = $2 and kind = 'room' order by num limit 1");
        const point = await inside(property, 'select id from core.usage_point where company_id = $1 and property_num = $2 order by num limit 1');
        const account = await inside(property, 'select id from core.account where company_id = $1 and property_num = $2 order by num limit 1');
        const charge = await inside(property, 'select c.id::text from billing.charge c join core.usage_point up on up.company_id = c.company_id and up.num = c.usage_point_num join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num and h.to_at is null and h.account_num = c.account_num where up.company_id = $1 and up.property_num = $2 limit 1');
        for (const target of [`rooms/${room}`, `usage-points/${point}/today`, `usage-points/${point}/charges`, `accounts/${account}/thresholds`, `charges/${charge}/explanation`])
          assert.equal((await viewer.get(`/api/v1/${target}`)).status, status, target);
        assertProblem(await viewer.readNow(point), 403, 'forbidden');
        assertProblem(await viewer.patch(`/api/v1/accounts/${account}/thresholds`, { items: [] }, { 'if-match': '"v1"' }), 403, 'forbidden');
      }
    } finally {
      await set(null);
    }
    assert.deepEqual(viewer.session.permissions, ['board.view', 'room.view', 'charge.view', 'statement.view']);
  });

  test('an operator without a role may ask who he is, and nothing else', async () => {
    const company = await world.companyNum('haigang');
    const saved = (await stack.query("select r.* from core.operator_role r join core.operator o on o.company_id = r.company_id and o.num = r.operator_num where o.company_id = $1 and o.login = 'viewer'", [company])).rows;
    await stack.query('delete from core.operator_role where company_id = $1 and operator_num = $2', [company, saved[0].operator_num]);
    try {
      assert.deepEqual((await viewer.get('/api/v1/session')).data.permissions, []);
      for (const target of ['properties', 'overview', 'events']) assertProblem(await viewer.get(`/api/v1/${target}`), 403, 'forbidden');
    } finally {
      for (const role of saved) await stack.query('insert into core.operator_role (company_id, operator_num, role, property_num) values ($1, $2, $3, $4)', [company, role.operator_num, role.role, role.property_num]);
    }
  });
});

describe('requests with an effect', () => {
  test('one effect per key, however many ask at once', async () => {
    const point = await askablePoint('haigang');
    const count = () => stack.value('select count(*) from api.read_request');
    const before = await count();
    const key = randomBytes(12).toString('hex');
    const answers = await Promise.all(Array.from({ length: 10 }, () => manager.readNow(point, key)));
    for (const answer of answers) {
      assert.equal(answer.status, 202, answer.text);
      assert.equal(answer.data.id, answers[0].data.id);
      assert.equal(answer.headers.get('location'), `/api/v1/read-requests/${answers[0].data.id}`);
    }
    assert.equal((await count()) - before, 1n);
    const sent = (await stack.query('select * from api.outbox where event_id = $1', [answers[0].data.id])).rows;
    assert.equal(sent.length, 1);
    assert.equal(sent[0].stream, 'read-requests');
    assert.equal(sent[0].payload.requested_by, `operator:${await stack.value("select num from core.operator where login = 'manager' and company_id = $1", [await world.companyNum('haigang')])}`);
    const other = (await idsOf('haigang')).usagePoint;
    const reused = await manager.readNow(other === point ? await stack.value('select id from core.usage_point where company_id = $1 and id <> $2 order by num desc limit 1', [await world.companyNum('haigang'), point]) : other, key);
    assertProblem(reused, 422, 'idempotency-key-reused');
    assertProblem(await manager.ask('POST', `/api/v1/usage-points/${point}/read-now`), 400, 'idempotency-key-required');
    assertProblem(await manager.readNow(point, 'short'), 400, 'idempotency-key-required');
    await waitFor(() => stack.value('select published_at from api.outbox where event_id = $1', [answers[0].data.id]), { what: 'the relay' });
  });

  test('the end of a request comes from ingest; a repeated or foreign result changes nothing', async () => {
    const company = await world.companyNum('haigang');
    const tell = async (type, request, more, of = company) => {
      const event = randomUUID();
      await stack.query("insert into ingest.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at) values ($1, $2, 'command-results', $3, 1, 1, $4, now())", [event, of, type, JSON.stringify({ command: request, meter: 1, channel: 1, ...more })]);
      await stack.redis('XADD', 'command-results', '*', 'e', event);
      await waitFor(() => stack.value('select 1 from api.inbox where event_id = $1', [event]), { what: 'the inbox' });
    };
    const ask = async () => (await manager.readNow(await askablePoint('haigang'))).data.id;
    const state = async (id) => (await manager.get(`/api/v1/read-requests/${id}`)).data;
    const [done, silent, strange, late] = [await ask(), await ask(), await ask(), await ask()];
    assert.equal((await state(done)).state, 'queued');
    await tell('read_done', done, { at: '2026-11-21T00:00:00Z' });
    assert.deepEqual([(await state(done)).state, (await state(done)).reason], ['done', null]);
    await tell('read_failed', done, { reason: 'meter_silent' });
    assert.equal((await state(done)).state, 'done');
    await tell('read_failed', silent, { reason: 'meter_silent' });
    assert.deepEqual([(await state(silent)).state, (await state(silent)).reason], ['failed', 'meter_silent']);
    await tell('read_done', strange, { at: '2026-11-21T00:00:00Z' }, await world.companyNum('xuefu'));
    assert.equal((await state(strange)).state, 'queued', "another company's result");
    await stack.query("update api.read_request set requested_at = requested_at - interval '6 minutes' where id = $1", [late]);
    assert.deepEqual([(await state(late)).state, (await state(late)).reason], ['failed', 'expired']);
    await tell('read_failed', 'no id', { reason: 'x' });
  });

  test('of two edits that saw the same version one is refused, and the level is seen by billing', async () => {
    const { account } = await idsOf('haigang');
    const target = `/api/v1/accounts/${account}/thresholds`;
    const seen = await manager.get(target);
    const etag = seen.headers.get('etag');
    const [item] = seen.data.items;
    const edit = (alarm) => manager.patch(target, { items: [{ purpose: item.purpose, alarm_1: alarm, alarm_2: '5.00' }] }, { 'if-match': etag });
    const answers = await Promise.all([edit('91.5'), edit('92.5')]);
    assert.deepEqual(answers.map((each) => each.status).sort(), [200, 412]);
    const won = answers.find((each) => each.status === 200);
    assertProblem(answers.find((each) => each.status === 412), 412, 'stale');
    assert.notEqual(won.headers.get('etag'), etag);
    const micro = won.data.items[0].alarm_1 === '91.50' ? 91_500_000n : 92_500_000n;
    await waitFor(async () => (await stack.value('select b.alarm_1_micro from billing.purse b join core.purse p on p.num = b.num join core.account a on a.company_id = p.company_id and a.num = p.account_num where a.id = $1 and p.purpose = $2', [account, item.purpose])) === micro, { what: 'billing to take the thresholds over', within_ms: 20_000 });
    const audit = (await stack.query("select * from core.audit where action = 'thresholds_set' and subject_id = $1", [account])).rows;
    assert.equal(audit.length, 1);
    assert.equal(audit[0].actor, 'manager');
  });

  test('thresholds that break a rule are refused with their place, and nothing is changed', async () => {
    const { account } = await idsOf('haigang');
    const target = `/api/v1/accounts/${account}/thresholds`;
    const seen = await manager.get(target);
    const purpose = seen.data.items[0].purpose;
    const edit = (body) => manager.patch(target, body, { 'if-match': seen.headers.get('etag') });
    const item = (more) => ({ items: [{ purpose, alarm_1: '9.00', alarm_2: '1.00', ...more }] });
    const cases = [
      [item({ alarm_1: '1.00', alarm_2: '2.00' }), '/items/0'], [item({ alarm_1: 1.5 }), '/items/0/alarm_1'], [item({ alarm_1: '1,5' }), '/items/0/alarm_1'],
      [item({ alarm_1: '0.0000001' }), '/items/0/alarm_1'], [item({ alarm_1: '99999999999999999999' }), '/items/0/alarm_1'], [item({ purpose: 'tea' }), '/items/0/purpose'],
      [item({ alarm_2: '-5.00' }), '/items/0/alarm_2'], [item({ more: 1 }), '/items/0/more'], [{ items: [] }, '/items'], [{ items: [item().items[0], item({ purpose: 'tea' }).items[0]] }, '/items/1/purpose'],
    ];
    for (const [body, pointer] of cases) {
      const answer = await edit(body);
      assertProblem(answer, 422, 'bad-input');
      assert.equal(answer.data.errors[0].pointer, pointer, answer.text);
    }
    assertProblem(await edit('{"items":'), 400, 'malformed');
    assertProblem(await manager.patch(target, item()), 428, 'precondition-required');
    assert.equal((await manager.get(target)).headers.get('etag'), seen.headers.get('etag'));
  });
});

describe('events', () => {
  // Something on the board that changes without billing: a customer's name.
  async function rename(companyCode, name) {
    const company = await world.companyNum(companyCode);
    const row = (await stack.query(
      `select ag.customer_num, up.property_num, r.id as room from core.usage_point up join core.place r on r.company_id = up.company_id and r.num = up.place_num
       join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num and h.to_at is null
       join core.account a on a.company_id = h.company_id and a.num = h.account_num join core.agreement ag on ag.company_id = a.company_id and ag.num = a.agreement_num
       where up.company_id = $1 order by up.num limit 1`, [company])).rows[0];
    await stack.query('update core.customer set name = $3 where company_id = $1 and num = $2', [company, row.customer_num, name]);
    await ring(company, row.property_num);
    return row;
  }
  const ring = (company, property) => stack.redis('XADD', 'board', '*', 'e', JSON.stringify({ company: Number(company), properties: [Number(property)] }));
  const named = (name) => (each) => each.event === 'board.changed' && each.data.rooms.some((room) => room.customer === name);

  test('a change reaches those who may see it, and nobody else', async () => {
    const streams = [manager.listen(), stranger.listen(), new Visitor(world.url).listen()];
    const [ours, theirs, nobody] = streams;
    try {
      for (const each of [ours, theirs]) await each.until((event) => event.event === 'reset');
      await rename('haigang', 'Warm-up');
      await ours.until(named('Warm-up'));
      const room = (await rename('haigang', 'Teahouse 茶')).room;
      const event = await ours.until(named('Teahouse 茶'));
      assert.ok(event.data.rooms.some((each) => each.id === room));
      await rename('xuefu', 'Dormitory');
      await theirs.until(named('Dormitory'));
      const property = (await idsOf('xuefu')).property;
      assert.ok(theirs.events.every((each) => each.event === 'reset' || each.data.property === property));
      assert.ok(!ours.events.some((each) => each.data.property === property));
      await nobody.done;
      assert.equal(nobody.status, 401);
    } finally {
      streams.forEach((each) => each.stop());
    }
  });

  test('a reader that was away gets what it missed, in order and once; numbers it cannot have had are answered by reset', async () => {
    const first = manager.listen();
    await rename('haigang', 'Before');
    const seen = await first.until(named('Before'));
    first.stop();
    const last = String(Math.max(...first.events.map((each) => Number(each.id))));
    await rename('haigang', 'Missed 1');
    await sleep(1500);
    await rename('haigang', 'Missed 2');
    await waitFor(() => stack.value("select 1 from api.event_feed where payload::text like '%Missed 2%'"), { what: 'the feed' });
    for (const again of [manager.listen(`?last_event_id=${last}`), manager.listen('', { 'last-event-id': last }), manager.listen('?last_event_id=1', { 'last-event-id': last })]) {
      await again.until(named('Missed 2'));
      again.stop();
      assert.ok(!again.events.some((each) => each.event === 'reset'));
      assert.equal(again.events.filter(named('Missed 1')).length, 1);
      const numbers = again.events.map((each) => Number(each.id));
      assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
      assert.ok(numbers[0] > Number(last) && Number(seen.id) <= Number(last));
    }
    for (const id of ['1', '99999999999999', 'x', '-5', String(Date.now() - 7_200_000)]) {
      const lost = manager.listen(`?last_event_id=${id}`);
      const reset = await lost.until(() => true);
      lost.stop();
      assert.deepEqual([reset.event, reset.data.reason], ['reset', 'too_old'], id);
    }
  });

  test('only the property that was asked for, and only those of the roles', async () => {
    const company = await world.companyNum('haigang');
    const [first, second] = (await stack.query('select num, id from core.property where company_id = $1 order by num', [company])).rows;
    const operator = await stack.value("select num from core.operator where company_id = $1 and login = 'viewer'", [company]);
    const set = (property) => stack.query('update core.operator_role set property_num = $3 where company_id = $1 and operator_num = $2', [company, operator, property]);
    await set(second.num);
    const streams = [manager.listen(`?property=${first.id}`), viewer.listen(), manager.listen()];
    const [filtered, scoped, all] = streams;
    try {
      for (const each of streams) await each.until((event) => event.event === 'reset');
      const renameIn = async (property, name) => {
        await stack.query('update core.place set name = $3 where company_id = $1 and num = (select min(num) from core.place where company_id = $1 and property_num = $2 and kind = \'room\')', [company, property.num, name]);
        await ring(company, property.num);
      };
      const roomNamed = (name) => (each) => each.event === 'board.changed' && each.data.rooms.some((room) => room.name === name);
      await renameIn(first, 'A-1');
      await renameIn(second, 'B-1');
      await filtered.until(roomNamed('A-1'));
      await scoped.until(roomNamed('B-1'));
      await all.until(roomNamed('A-1'));
      await all.until(roomNamed('B-1'));
      assert.ok(filtered.events.every((each) => each.event === 'reset' || each.data.property === first.id));
      assert.ok(scoped.events.every((each) => each.event === 'reset' || each.data.property === second.id));
    } finally {
      streams.forEach((each) => each.stop());
      await set(null);
    }
  });

  test('an operator may open some streams, not any number', async () => {
    const streams = Array.from({ length: 27 }, () => stranger.listen());
    try {
      await waitFor(() => streams.every((each) => each.status !== 0), { what: 'all answers' });
      const refused = streams.filter((each) => each.status === 429);
      assert.equal(refused.length, 3);
    } finally {
      streams.forEach((each) => each.stop());
    }
    await waitFor(async () => (await world.api.metric('penstock_api_streams')) === 0, { what: 'the end of the streams' });
  });

  test('the feeding replica dies, Redis is emptied: the other goes on, and nothing of the past is told twice', async () => {
    const second = await stack.spawnService('api', world.env);
    await second.ready();
    const visitor = await world.logIn('haigang', 'manager', `http://127.0.0.1:${second.ports.http}`);
    const stream = visitor.listen();
    try {
      await stream.until((event) => event.event === 'reset');
      await rename('haigang', 'Two replicas');
      await stream.until(named('Two replicas'));
      await world.api.killNow();
      await sleep(2500);
      await rename('haigang', 'One replica');
      await stream.until(named('One replica'));
      await stack.flushRedis();
      await waitFor(async () => {
        await rename('haigang', 'No past');
        return stream.events.some(named('No past'));
      }, { what: 'an event after FLUSHALL', every_ms: 500 });
      const numbers = stream.events.map((each) => Number(each.id));
      assert.equal(new Set(numbers).size, numbers.length);
      assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
    } finally {
      stream.stop();
    }
    await second.stop();
    assert.equal((await second.exited).code, 0, second.output);
    world.api = await stack.spawnService('api', world.env);
    await world.api.ready();
    manager = await world.logIn('haigang');
  });
});

describe('the contract', () => {
  test('every answer has the shape it states', async () => {
    const { company, login, password } = world.who('haigang');
    const rings = setInterval(async () => {
      const company_id = await world.companyNum('haigang');
      await stack.query("update core.customer set name = $2 where company_id = $1 and num = (select min(num) from core.customer where company_id = $1)", [company_id, `Shop ${Date.now()}`]);
      for (const { num } of (await stack.query('select num from core.property where company_id = $1', [company_id])).rows)
        await stack.redis('XADD', 'board', '*', 'e', JSON.stringify({ company: Number(company_id), properties: [Number(num)] }));
    }, 1000);
    try {
      const { code: exit, stdout } = await runProgram(process.execPath, ['--test', '--test-reporter=tap', CONTRACT_TEST], {
        env: { ...process.env, NODE_TEST_CONTEXT: undefined, PENSTOCK_URL: world.url, PENSTOCK_COMPANY: company, PENSTOCK_LOGIN: login, PENSTOCK_PASSWORD: password },
        within_ms: 120_000,
      });
      assert.equal(exit, 0, stdout.split('\n').filter((line) => /not ok|error:|expected|actual|!==/.test(line)).join('\n'));
      assert.match(stdout, /# pass 1[0-9]/);
    } finally {
      clearInterval(rings);
    }
  });

  test('the contract itself and the dashboard are served; the api never falls back to a page', async () => {
    const visitor = new Visitor(world.url);
    assert.equal((await visitor.get('/openapi.yaml')).text, readFileSync(CONTRACT, 'utf8'));
    for (const target of ['/', '/rooms/1', '/login']) {
      const page = await visitor.get(target);
      assert.equal(page.text, '<p>dashboard</p>');
      assert.match(page.headers.get('content-security-policy'), /default-src 'self'/);
    }
    assertProblem(await manager.get('/api/v1/nothing'), 404, 'not-found');
    const wrong = await manager.delete('/api/v1/properties');
    assertProblem(wrong, 405, 'method-not-allowed');
    assert.equal(wrong.headers.get('allow'), 'GET, HEAD');
  });

  test('explanations come in the language that was asked for, and agree with the charge', async () => {
    const usagePoint = await stack.value('select up.id from billing.charge c join core.usage_point up on up.company_id = c.company_id and up.num = c.usage_point_num join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num and h.account_num = c.account_num and h.to_at is null where c.company_id = $1 group by up.id order by count(*) desc, up.id limit 1', [await world.companyNum('haigang')]);
    const page = (await manager.get(`/api/v1/usage-points/${usagePoint}/charges?limit=20`)).data;
    assert.ok(page.items.length > 0);
    const micro = (text) => BigInt(text.replace(/^(-?)(\d+)(?:\.(\d+))?$/, (_, sign, whole, part = '') => `${sign}${whole}${part.padEnd(6, '0')}`));
    for (const charge of page.items) {
      const zh = (await manager.get(`/api/v1/charges/${charge.id}/explanation`, { 'accept-language': 'fr, zh-CN;q=0.9, en;q=0.1' })).data;
      const en = (await manager.get(`/api/v1/charges/${charge.id}/explanation`, { 'accept-language': 'fr' })).data;
      assert.match(zh.sentences.join(''), /示数|计费/);
      assert.match(en.sentences.join(''), /The register showed/);
      assert.equal(en.charge.amount, charge.amount);
      assert.equal(micro(en.total) - micro(en.already_charged), micro(charge.amount));
      if (charge.cause === 'reading') {
        assert.equal(en.pieces.reduce((sum, piece) => sum + micro(piece.quantity), 0n), micro(charge.quantity), 'the pieces are the whole use');
        for (const piece of en.pieces) {
          assert.ok(Date.parse(charge.from) <= Date.parse(piece.from) && Date.parse(piece.to) <= Date.parse(charge.to));
          assert.match(piece.from, /\+08:00$/, 'in local time');
        }
      }
      assert.deepEqual({ ...zh, sentences: [] }, { ...en, sentences: [] });
    }
  });
});
