// A stand-in for the api service, for working on the screens: `npm run stand-in`, then `npm run dev`, or open it directly to see web/dist.
// It answers the operations of services/api/openapi.yaml from an invented world, sends events, and serves the built site with the same
// security headers the real server sends. Log in as company "harbour", login "anna" (may do everything) or "bob" (may only look), password "penstock".
import { randomBytes } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import { advance, boardOf, cardOf, chargesPage, explanationOf, iso, makeWorld, overviewOf, propertyOf, roomOf, thresholdsOf, todayOf } from './world.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.json': 'application/json' };
const OPERATORS = {
  anna: { name: 'Anna Chen', permissions: ['board.view', 'room.view', 'charge.view', 'meter.read_now', 'thresholds.edit'] },
  bob: { name: '李波', permissions: ['board.view', 'room.view', 'charge.view'] },
};

const FEED_KEPT = 500;

/** One server with a world of its own; close() ends its timer, streams and socket. */
export function startStandIn({ port = 8090, seed = 7, now = () => Date.now(), tickMs = 1_500, host = '127.0.0.1' } = {}) {
  const state = { world: makeWorld(seed, now()), sessions: new Map(), streams: new Set(), feed: [], seq: 0, reads: new Map(), now };
  const server = createServer((request, response) => {
    handle(state, request, response).catch((error) => problem(response, 500, 'internal', String(error)));
  });
  const timer = tickMs > 0 ? setInterval(() => tick(state), tickMs) : null;
  const close = () => new Promise((resolve) => {
    if (timer) clearInterval(timer);
    for (const stream of state.streams) stream.end();
    server.close(() => resolve());
    server.closeAllConnections();
  });
  return new Promise((resolve) => server.listen(port, host, () => resolve({ url: `http://${host}:${server.address().port}`, state, tick: () => tick(state), close })));
}

function tick(state) {
  for (const [property, rooms] of advance(state.world, state.now(), 4)) {
    publish(state, property, { property, as_of: iso(state.now()), rooms: [...rooms].map(cardOf) });
  }
}

function publish(state, property, data) {
  state.seq += 1;
  const event = { id: state.seq, text: `id: ${state.seq}\nevent: board.changed\ndata: ${JSON.stringify(data)}\n\n` };
  state.feed = [...state.feed, event].slice(-FEED_KEPT);
  for (const stream of state.streams) stream.write(event.text);
}

function json(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(JSON.stringify(body));
}

function problem(response, status, name, title, extra = {}) {
  response.writeHead(status, { 'content-type': 'application/problem+json', ...(extra.headers ?? {}) });
  response.end(JSON.stringify({ type: `/problems/${name}`, title, status, instance: randomBytes(6).toString('hex'), ...(extra.body ?? {}) }));
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 65_536) return null;
  }
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function sessionOf(state, request) {
  return state.sessions.get(keyOf(request));
}

function keyOf(request) {
  return /penstock_session=([0-9a-f]+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
}

function sessionBody(state, login) {
  return {
    company: { id: 'c1', code: 'harbour', name: '海港物业 Harbour Property' }, operator: { id: `o-${login}`, login, name: OPERATORS[login].name },
    permissions: OPERATORS[login].permissions, expires_at: iso(state.now() + 8 * 3_600_000),
  };
}

async function handle(state, request, response) {
  const url = new URL(request.url, 'http://stand-in');
  if (!url.pathname.startsWith('/api/v1/')) return serveFile(url.pathname, request, response);
  const path = url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent);
  if (path[0] === 'session') return session(state, request, response);
  const login = sessionOf(state, request);
  if (!login) return problem(response, 401, 'no-session', 'log in first');
  const route = ROUTES[`${request.method} ${path[0]}${path.length > 2 ? `/${path[2]}` : ''}`];
  if (!route) return problem(response, 404, 'not-found', 'there is no such thing');
  return route({ state, request, response, url, id: path[1] ?? '', login });
}

async function session(state, request, response) {
  if (request.method === 'POST') {
    const body = await bodyOf(request);
    const isKnown = body?.company === 'harbour' && OPERATORS[body.login] && body.password === 'penstock';
    if (!isKnown) return problem(response, 401, 'wrong-credentials', 'company, login or password is wrong');
    const key = randomBytes(16).toString('hex');
    state.sessions.set(key, body.login);
    return json(response, 201, sessionBody(state, body.login), { 'set-cookie': `penstock_session=${key}; HttpOnly; SameSite=Strict; Path=/` });
  }
  if (request.method === 'DELETE') {
    state.sessions.delete(keyOf(request));
    response.writeHead(204, { 'set-cookie': 'penstock_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0' });
    return response.end();
  }
  const login = sessionOf(state, request);
  return login ? json(response, 200, sessionBody(state, login)) : problem(response, 401, 'no-session', 'log in first');
}

const missing = (response) => problem(response, 404, 'not-found', 'there is no such thing');

/** "<room>-<utility>" and "<room>-<utility>-c<n>" are how this world names points and charges. */
function pointOf(state, id) {
  const match = /^(.+)-([ew])$/.exec(id);
  const place = match && state.world.rooms.get(match[1]);
  return place ? { place, utility: match[2] } : null;
}

const ROUTES = {
  'GET overview'({ state, response, url }) {
    const wanted = url.searchParams.get('property');
    json(response, 200, overviewOf(state.world.properties.filter((p) => wanted === null || p.id === wanted), state.now()));
  },
  'GET properties'({ state, response }) {
    json(response, 200, { items: state.world.properties.map(propertyOf), next_cursor: null });
  },
  'GET properties/board'({ state, response, id }) {
    const property = state.world.properties.find((p) => p.id === id);
    if (!property) return missing(response);
    if (property.status === 403) return problem(response, 403, 'forbidden', 'the sender may not do this');
    if (property.status === 500) return problem(response, 500, 'internal', 'a part of the installation is inconsistent');
    return json(response, 200, boardOf(property, state.now()));
  },
  'GET rooms'({ state, response, id }) {
    const place = state.world.rooms.get(id);
    return place ? json(response, 200, roomOf(place)) : missing(response);
  },
  'GET usage-points/today'({ state, response, id }) {
    const point = pointOf(state, id);
    return point ? json(response, 200, todayOf(point.place, point.utility, state.now())) : missing(response);
  },
  'GET usage-points/charges'({ state, response, id, url }) {
    const point = pointOf(state, id);
    if (!point) return missing(response);
    const limit = Number(url.searchParams.get('limit') ?? 50);
    const cursor = url.searchParams.get('cursor');
    if (!(limit >= 1 && limit <= 200) || (cursor !== null && !/^n\d+$/.test(cursor))) return problem(response, 422, 'bad-input', 'the input breaks a rule');
    return json(response, 200, chargesPage(point.place, point.utility, cursor, limit));
  },
  'GET charges/explanation'({ state, request, response, id }) {
    const match = /^(.+)-c(\d+)$/.exec(id);
    const point = match && pointOf(state, match[1]);
    if (!point) return missing(response);
    return json(response, 200, explanationOf(point.place, point.utility, Number(match[2]), (request.headers['accept-language'] ?? '').startsWith('zh') ? 'zh-CN' : 'en'));
  },
  'POST usage-points/read-now'({ state, request, response, id, login }) {
    const point = pointOf(state, id);
    if (!point) return missing(response);
    if (!OPERATORS[login].permissions.includes('meter.read_now')) return problem(response, 403, 'forbidden', 'the sender may not do this');
    if (!request.headers['idempotency-key']) return problem(response, 400, 'idempotency-key-missing', 'Idempotency-Key is required');
    if (point.utility === 'w') return problem(response, 409, 'no-downlink', 'this gateway only pushes');
    const key = request.headers['idempotency-key'];
    const read = [...state.reads.values()].find((r) => r.key === key) ?? { id: `q${state.reads.size + 1}`, key, point, usage_point: id, at: state.now() };
    state.reads.set(read.id, read);
    return json(response, 202, readOf(state, read), { location: `/api/v1/read-requests/${read.id}` });
  },
  'GET read-requests'({ state, response, id }) {
    const read = state.reads.get(id);
    return read ? json(response, 200, readOf(state, read)) : missing(response);
  },
  'GET accounts/thresholds'({ state, response, id }) {
    const place = state.world.rooms.get(id.replace(/-a$/, ''));
    return place ? json(response, 200, thresholdsOf(place.room), { etag: `"${place.room.version}"` }) : missing(response);
  },
  async 'PATCH accounts/thresholds'({ state, request, response, id, login }) {
    const place = state.world.rooms.get(id.replace(/-a$/, ''));
    if (!place) return missing(response);
    if (!OPERATORS[login].permissions.includes('thresholds.edit')) return problem(response, 403, 'forbidden', 'the sender may not do this');
    if (!request.headers['if-match']) return problem(response, 428, 'if-match-missing', 'If-Match is required');
    if (request.headers['if-match'] !== `"${place.room.version}"`) return problem(response, 412, 'stale', 'it changed since it was read');
    const body = await bodyOf(request);
    const electricity = body?.items?.find((item) => item.purpose === 'electricity');
    const micro = (text) => (text === null ? -(10n ** 15n) : BigInt(Math.round(Number(text) * 100)) * 10_000n);
    if (electricity && electricity.alarm_1 !== null && electricity.alarm_2 !== null && micro(electricity.alarm_2) > micro(electricity.alarm_1)) {
      return problem(response, 422, 'bad-input', 'alarm_2 may not exceed alarm_1', { body: { errors: [{ pointer: '/items/0/alarm_2', code: 'above-alarm-1' }] } });
    }
    if (electricity) {
      place.room.alarm1 = micro(electricity.alarm_1);
      place.room.alarm2 = micro(electricity.alarm_2);
    }
    place.room.version += 1;
    publish(state, place.property.id, { property: place.property.id, as_of: iso(state.now()), rooms: [cardOf(place.room)] });
    return json(response, 200, thresholdsOf(place.room), { etag: `"${place.room.version}"` });
  },
  'GET events'({ state, request, response, url }) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    const last = Number(request.headers['last-event-id'] ?? url.searchParams.get('last_event_id') ?? NaN);
    const oldest = state.feed[0]?.id ?? state.seq + 1;
    if (Number.isNaN(last) || last < oldest - 1) {
      response.write(`id: ${state.seq}\nevent: reset\ndata: {"reason":"${Number.isNaN(last) ? 'started' : 'too_old'}"}\n\n`);
    } else {
      for (const event of state.feed) if (event.id > last) response.write(event.text);
    }
    state.streams.add(response);
    response.on('close', () => state.streams.delete(response));
  },
};

function readOf(state, read) {
  const age = state.now() - read.at;
  const isLost = read.point.place.room.kind === 'lost_contact';
  const step = age < 900 ? 'queued' : age < 2_200 ? 'sent' : isLost ? 'failed' : 'done';
  const isOver = step === 'done' || step === 'failed';
  return {
    id: read.id, usage_point: read.usage_point, state: step, requested_at: iso(read.at), finished_at: isOver ? iso(state.now()) : null,
    reading: step === 'done' ? { value: cardOf(read.point.place.room).last_reading.value, unit: 'kWh', read_at: iso(state.now()) } : null, reason: step === 'failed' ? 'meter_silent' : null,
  };
}

export function securityHeaders(nonce) {
  return {
    'content-security-policy': `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff', 'referrer-policy': 'same-origin',
  };
}

/** A path without a file is a screen of the dashboard: index.html with a nonce of its own. */
function serveFile(pathname, request, response) {
  const path = normalize(join(DIST, pathname));
  const isFile = path.startsWith(DIST) && existsSync(path) && statSync(path).isFile() && extname(path) !== '.html';
  const nonce = randomBytes(16).toString('base64');
  if (!isFile) {
    if (extname(pathname) !== '' || !existsSync(join(DIST, 'index.html'))) return missing(response);
    response.writeHead(200, { 'content-type': TYPES['.html'], 'cache-control': 'no-store', ...securityHeaders(nonce) });
    return response.end(readFileSync(join(DIST, 'index.html'), 'utf8').replaceAll('__CSP_NONCE__', nonce));
  }
  const isPacked = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '') && existsSync(`${path}.gz`);
  const immutable = pathname.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
  response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', 'cache-control': immutable, vary: 'accept-encoding', ...(isPacked ? { 'content-encoding': 'gzip' } : {}), ...securityHeaders(nonce) });
  return createReadStream(isPacked ? `${path}.gz` : path).pipe(response);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await startStandIn({ port: Number(process.env.PORT ?? 8090) });
  console.log(`stand-in at ${url}  (company harbour, login anna or bob, password penstock)`);
}
