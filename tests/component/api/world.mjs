// Two companies with charged history behind a real api and billing, and a browser's way of talking to them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

export class World {
  static async create({ exclusive = false, env = {}, services = ['billing', 'api'] } = {}) {
    const world = new World();
    world.stack = await startStack({ exclusive });
    world.env = env;
    const { code, stdout, stderr } = await world.stack.ctl(['demo', 'load', '--meters', '40', '--days', '2', '--fleet-out', '/dev/null']);
    assert.equal(code, 0, stderr);
    world.logIns = [...stdout.matchAll(/^log-in\s+company (\S+)\s+operator (\S+)\s+password (\S+)/gm)].map(([, company, login, password]) => ({ company, login, password }));
    assert.equal(world.logIns.length, 4, stdout);
    for (const name of services) world[name] = await world.stack.spawnService(name, env);
    for (const name of services) await world[name].ready();
    await waitFor(
      async () => (await world.stack.value('select count(*) from ingest.reading_block b where not exists (select from billing.block_claim c where c.block_id = b.block_id)').catch(() => null)) === 0n
        || (await world.charged()),
      { what: 'the charged history', within_ms: 60_000, every_ms: 200 },
    );
    return world;
  }

  // Charges of both companies, and no more of them coming.
  async charged() {
    const count = async () => (await this.stack.query('select company_id, count(*) as n from billing.charge group by 1')).rows.map((row) => row.n);
    const first = await count();
    if (first.length < 2) return false;
    await new Promise((resolve) => setTimeout(resolve, 700));
    const second = await count();
    return String(first) === String(second);
  }

  get url() {
    return `http://127.0.0.1:${this.api.ports.http}`;
  }

  who(company, login = 'manager') {
    return this.logIns.find((each) => each.company === company && each.login === login);
  }

  async logIn(company, login = 'manager', url = this.url) {
    const visitor = new Visitor(url);
    const answer = await visitor.post('/api/v1/session', this.who(company, login));
    assert.equal(answer.status, 201, answer.text);
    visitor.cookie = answer.headers.getSetCookie()[0].split(';')[0];
    visitor.session = answer.data;
    return visitor;
  }

  companyNum(code) {
    return this.stack.value('select company_id from core.company where code = $1', [code]);
  }

  async stop() {
    await this.stack?.stop();
  }
}

export class Visitor {
  constructor(url) {
    this.url = url;
    this.cookie = '';
  }

  async ask(method, path, { body, headers = {} } = {}) {
    const response = await fetch(this.url + path, {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(20_000),
      headers: { ...(this.cookie ? { cookie: this.cookie } : {}), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
    return { status: response.status, headers: response.headers, text, data: isJson && text ? JSON.parse(text) : null };
  }
  get(path, headers) {
    return this.ask('GET', path, { headers });
  }
  post(path, body, headers) {
    return this.ask('POST', path, { body, headers });
  }
  patch(path, body, headers) {
    return this.ask('PATCH', path, { body, headers });
  }
  delete(path, headers) {
    return this.ask('DELETE', path, { headers });
  }
  readNow(point, key = randomBytes(8).toString('hex')) {
    return this.ask('POST', `/api/v1/usage-points/${point}/read-now`, { headers: { 'idempotency-key': key } });
  }

  // Listens to the event stream; `events` grows as they come.
  listen(query = '', headers = {}) {
    const abort = new AbortController();
    const stream = { events: [], text: '', status: 0, isEnded: false, stop: () => abort.abort() };
    stream.until = (matches, what = 'the event', within_ms = 15_000) =>
      waitFor(() => stream.events.find(matches), { what: `${what} (seen: ${stream.events.map((each) => each.event)})`, within_ms });
    stream.done = (async () => {
      try {
        const response = await fetch(`${this.url}/api/v1/events${query}`, { headers: { cookie: this.cookie, ...headers }, signal: abort.signal });
        stream.status = response.status;
        const decoder = new TextDecoder();
        for await (const chunk of response.body) {
          stream.text += decoder.decode(chunk, { stream: true });
          let end;
          while ((end = stream.text.indexOf('\n\n')) >= 0) {
            const fields = stream.text.slice(0, end).split('\n').filter((line) => !line.startsWith(':'));
            stream.text = stream.text.slice(end + 2);
            if (fields.length === 0) continue;
            const event = Object.fromEntries(fields.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
            stream.events.push({ ...event, data: JSON.parse(event.data) });
          }
        }
      } catch (error) {
        if (error.name !== 'AbortError') stream.error = error;
      }
      stream.isEnded = true;
    })();
    return stream;
  }
}

export const code = (answer) => answer.data?.type?.split(':').pop();

export function assertProblem(answer, status, type) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
  if (type) assert.equal(code(answer), type);
  assert.equal(answer.data.status, status);
}
