// The contract (services/api/openapi.yaml) against a server: every answer, good or bad, has a status and a shape the contract names. The server is
// the one PENSTOCK_URL names (credentials as in the browser tests), else the stand-in the screens are developed against: neither may drift.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const contract = parse(readFileSync(new URL('../../../services/api/openapi.yaml', import.meta.url), 'utf8'));
const ajv = addFormats.default(new Ajv2020.default({ strict: false, allErrors: true }));
ajv.addSchema(contract, 'contract');

const who = {
  company: process.env.PENSTOCK_COMPANY ?? 'harbour',
  login: process.env.PENSTOCK_LOGIN ?? 'anna',
  password: process.env.PENSTOCK_PASSWORD ?? 'penstock',
};
const STRANGER = '00000000-0000-7000-8000-000000000000';

async function systemUnderTest() {
  if (process.env.PENSTOCK_URL) return { url: process.env.PENSTOCK_URL.replace(/\/$/, ''), close: async () => {} };
  const { startStandIn } = await import('../../../web/dev/server.mjs');
  return startStandIn({ port: 0, tickMs: 200 });
}

/** A reference into the document, as ajv resolves it. */
function pointerOf(...parts) {
  return `contract#/${parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
}

/** Where the contract describes this answer; fails where it does not. */
function schemaOf(template, method, status, type) {
  const operation = contract.paths[template]?.[method];
  assert.ok(operation, `${method} ${template} is no operation`);
  const key = operation.responses[status] ? String(status) : 'default';
  const response = operation.responses[key];
  assert.ok(response, `${method} ${template} answered ${status}, which is not in the contract`);
  const named = response.$ref?.split('/').pop();
  const content = (named ? contract.components.responses[named] : response).content ?? {};
  if (Object.keys(content).length === 0) return null;
  assert.ok(content[type], `${method} ${template} ${status}: ${type} is not in the contract`);
  return named ? pointerOf('components', 'responses', named, 'content', type, 'schema') : pointerOf('paths', template, method, 'responses', key, 'content', type, 'schema');
}

describe('the contract', { timeout: 120_000 }, () => {
  let system;
  let cookie = '';
  const seen = {};

  /** Sends a request and holds its answer against the contract. */
  async function call(method, template, { id, query = '', body, headers = {}, isAnonymous = false } = {}) {
    const path = template.replace('{id}', encodeURIComponent(id ?? '')) + query;
    const response = await fetch(system.url + path, {
      method: method.toUpperCase(), signal: AbortSignal.timeout(15_000), ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { ...(isAnonymous ? {} : { cookie }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    });
    const type = (response.headers.get('content-type') ?? '').split(';')[0];
    const text = await response.text();
    const schema = schemaOf(template, method, response.status, type);
    const data = schema === null ? null : JSON.parse(text);
    if (schema !== null) {
      const isValid = ajv.validate({ $ref: schema }, data);
      assert.ok(isValid, `${method} ${path} ${response.status}: ${ajv.errorsText(ajv.errors?.slice(0, 5))}`);
    }
    if (response.status >= 400) assert.equal(data.status, response.status, 'the problem repeats its status');
    return { status: response.status, data, headers: response.headers };
  }

  const roomsOf = (board) => board.buildings.flatMap((b) => b.floors).flatMap((f) => f.rooms);

  before(async () => {
    system = await systemUnderTest();
  });
  after(() => system?.close());

  it('nothing without a session', async () => {
    for (const template of ['/api/v1/session', '/api/v1/properties', '/api/v1/overview', '/api/v1/events']) {
      assert.equal((await call('get', template, { isAnonymous: true })).status, 401, template);
    }
    assert.equal((await call('get', '/api/v1/rooms/{id}', { id: STRANGER, isAnonymous: true })).status, 401);
  });

  it('a wrong password is 401, and does not tell which part was wrong', async () => {
    const wrong = await call('post', '/api/v1/session', { body: { ...who, password: 'not this' }, isAnonymous: true });
    const unknown = await call('post', '/api/v1/session', { body: { company: 'no-such-company', login: 'nobody', password: 'x' }, isAnonymous: true });
    assert.deepEqual([wrong.status, unknown.status, wrong.data.type], [401, 401, unknown.data.type]);
  });

  it('log-in sets a cookie no script can read', async () => {
    const { status, headers } = await call('post', '/api/v1/session', { body: who, isAnonymous: true });
    assert.equal(status, 201);
    const set = headers.getSetCookie().find((c) => c.startsWith('penstock_session='));
    assert.match(set, /HttpOnly/i);
    assert.match(set, /SameSite=Strict/i);
    cookie = set.split(';')[0];
    assert.equal((await call('get', '/api/v1/session')).status, 200);
  });

  it('properties, board and overview agree', async () => {
    const { data: page } = await call('get', '/api/v1/properties', { query: '?limit=200' });
    seen.property = page.items.find((p) => p.rooms > 0);
    assert.ok(seen.property, 'a property with rooms');
    const { data: board } = await call('get', '/api/v1/properties/{id}/board', { id: seen.property.id });
    const { data: overview } = await call('get', '/api/v1/overview', { query: `?property=${encodeURIComponent(seen.property.id)}` });
    const rooms = roomsOf(board);
    seen.rooms = rooms;
    assert.equal(rooms.length, seen.property.rooms);
    assert.equal(overview.rooms, rooms.length);
    assert.equal(Object.values(overview.rooms_by_state).reduce((a, b) => a + b, 0), rooms.length);
    assert.equal(new Set(rooms.map((room) => room.id)).size, rooms.length);
    await call('get', '/api/v1/overview');
  });

  it('rooms of every state that occurs', async () => {
    for (const state of new Set(seen.rooms.map((room) => room.state))) {
      const card = seen.rooms.find((room) => room.state === state);
      const { data: room } = await call('get', '/api/v1/rooms/{id}', { id: card.id });
      assert.equal(room.id, card.id);
      if (room.account !== null && room.usage_points.length > 0) seen.room = room;
    }
    assert.ok(seen.room, 'a room with an account and a usage point');
  });

  it('today: the hours and the periods add up to the day', async () => {
    const [point] = seen.room.usage_points;
    const { data: day } = await call('get', '/api/v1/usage-points/{id}/today', { id: point.id });
    const micro = (text) => BigInt(Math.round(Number(text) * 1e6));
    const total = (list) => list.reduce((sum, item) => sum + micro(item.quantity), 0n);
    assert.equal(total(day.hours), micro(day.quantity));
    assert.equal(total(day.periods), micro(day.quantity));
  });

  it('charges page by cursor without gap or repetition, and each explains itself', async () => {
    const [point] = seen.room.usage_points;
    const { data: whole } = await call('get', '/api/v1/usage-points/{id}/charges', { id: point.id, query: '?limit=6' });
    const ids = [];
    let cursor = '';
    for (let i = 0; i < 3; i += 1) {
      const { data: page } = await call('get', '/api/v1/usage-points/{id}/charges', { id: point.id, query: `?limit=2${cursor}` });
      ids.push(...page.items.map((charge) => charge.id));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
    }
    assert.deepEqual(ids, whole.items.map((charge) => charge.id).slice(0, ids.length));
    assert.equal(new Set(ids).size, ids.length);
    for (const charge of whole.items.slice(0, 3)) {
      const { data: why } = await call('get', '/api/v1/charges/{id}/explanation', { id: charge.id, headers: { 'accept-language': 'zh-CN' } });
      const micro = (text) => BigInt(text.replace(/^(-?)(\d+)(?:\.(\d+))?$/, (_, sign, w, f = '') => `${sign}${w}${f.padEnd(30, '0')}`));
      assert.equal(micro(why.total) - micro(why.already_charged), micro(why.charge.amount));
      assert.equal(why.lines.reduce((sum, line) => sum + micro(line.amount_after), 0n), micro(why.unrounded_total));
      for (const line of why.lines) assert.equal(micro(line.amount_after) - micro(line.amount_before), micro(line.amount));
      assert.match(why.sentences.join(''), /[一-鿿]/);
    }
  });

  it('limits out of range and cursors that are none are refused', async () => {
    const [point] = seen.room.usage_points;
    for (const query of ['?limit=0', '?limit=201', '?limit=x', '?cursor=%00garbage']) {
      assert.equal((await call('get', '/api/v1/usage-points/{id}/charges', { id: point.id, query })).status, 422, query);
    }
  });

  it('thresholds: an edit names the version it saw', async () => {
    const template = '/api/v1/accounts/{id}/thresholds';
    const { id } = seen.room.account;
    const { data, headers } = await call('get', template, { id });
    const etag = headers.get('etag');
    assert.ok(etag && !etag.startsWith('W/'), 'a strong ETag');
    assert.equal((await call('patch', template, { id, body: { items: data.items } })).status, 428);
    assert.equal((await call('patch', template, { id, body: { items: data.items }, headers: { 'if-match': '"another"' } })).status, 412);
    const wrong = [{ ...data.items[0], alarm_1: '1.00', alarm_2: '2.00' }];
    assert.equal((await call('patch', template, { id, body: { items: wrong }, headers: { 'if-match': etag } })).status, 422);
    const changed = await call('patch', template, { id, body: { items: [{ ...data.items[0], alarm_1: '61.00', alarm_2: '21.00' }] }, headers: { 'if-match': etag } });
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.get('etag'), etag);
    const back = await call('patch', template, { id, body: { items: data.items }, headers: { 'if-match': changed.headers.get('etag') } });
    assert.equal(back.status, 200);
  });

  it('read-now: one effect per key, and its progress can be asked for', async () => {
    const template = '/api/v1/usage-points/{id}/read-now';
    const key = randomBytes(12).toString('hex');
    const id = seen.room.usage_points[0].id;
    assert.equal((await call('post', template, { id })).status, 400);
    const first = await call('post', template, { id, headers: { 'idempotency-key': key } });
    if (first.status === 409) return;
    assert.equal(first.status, 202);
    const second = await call('post', template, { id, headers: { 'idempotency-key': key } });
    assert.equal(second.data.id, first.data.id);
    assert.equal((await call('get', '/api/v1/read-requests/{id}', { id: first.data.id })).data.id, first.data.id);
  });

  it('what is not ours does not exist', async () => {
    for (const template of ['/api/v1/properties/{id}/board', '/api/v1/rooms/{id}', '/api/v1/usage-points/{id}/today', '/api/v1/usage-points/{id}/charges', '/api/v1/charges/{id}/explanation', '/api/v1/accounts/{id}/thresholds', '/api/v1/read-requests/{id}']) {
      for (const id of [STRANGER, 'x', "' or 1=1 --"]) assert.equal((await call('get', template, { id })).status, 404, `${template} ${id}`);
    }
  });

  it('the stream begins with a reset, numbers its events, and continues after a number', async () => {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 60_000);
    const read = async (query, isEnough) => {
      const response = await fetch(`${system.url}/api/v1/events${query}`, { headers: { cookie }, signal: abort.signal });
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type'), /^text\/event-stream/);
      let text = '';
      for await (const chunk of response.body) {
        text += Buffer.from(chunk).toString('utf8');
        if (isEnough(text)) break;
      }
      return text;
    };
    const text = await read('', (t) => /event: reset[\s\S]*event: board\.changed\n[^\n]+\n\n/.test(t));
    const [, id, data] = /id: ([^\n]+)\nevent: board\.changed\ndata: ([^\n]+)\n\n/.exec(text);
    assert.ok(ajv.validate({ $ref: pointerOf('components', 'schemas', 'BoardChanged') }, JSON.parse(data)), ajv.errorsText());
    const next = await read(`?last_event_id=${encodeURIComponent(id)}`, (t) => t.includes('event: '));
    assert.ok(!next.includes('event: reset'), 'a number that is kept continues');
    clearTimeout(timer);
  });

  it('after log-out the cookie opens nothing', async () => {
    assert.equal((await call('delete', '/api/v1/session')).status, 204);
    assert.equal((await call('get', '/api/v1/properties')).status, 401);
  });
});
