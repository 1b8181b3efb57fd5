// The server from outside, byte by byte: every line of behaviour evhttp alone gets wrong, limits, streams, draining.
// Needs no PostgreSQL or Redis.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function echoProgram() {
  const folders = [process.env.PENSTOCK_BUILD_DIR, 'build/debug', 'build/asan', 'build/release'].filter(Boolean);
  const found = folders.map((folder) => path.resolve(ROOT, folder, 'tests/httpd_echo')).find((file) => existsSync(file));
  assert.ok(found, `no httpd_echo in ${folders.join(', ')}`);
  return found;
}

class Server {
  static async start(args = [], env = {}) {
    const server = new Server();
    server.child = spawn(echoProgram(), args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    server.output = '';
    server.child.stdout.on('data', (data) => (server.output += data));
    server.child.stderr.on('data', (data) => (server.output += data));
    server.exited = new Promise((resolve) => server.child.once('exit', (code, signal) => resolve({ code, signal })));
    server.watchdog = setTimeout(() => server.child.kill('SIGKILL'), 100_000);
    server.exited.then(() => clearTimeout(server.watchdog));
    for (let i = 0; i < 200 && !/port \d+\n/.test(server.output) && server.child.exitCode === null; i++) await sleep(20);
    server.port = Number(/port (\d+)/.exec(server.output)?.[1]);
    return server;
  }
  async stop() {
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    const result = await this.exited;
    clearTimeout(timer);
    return result;
  }
  // One connection: sends, collects until the peer closes or `until` matches.
  connect() {
    const connection = { text: '', closed: false, openedAt: Date.now() };
    connection.socket = net.connect(this.port, '127.0.0.1');
    connection.socket.setEncoding('latin1');
    connection.socket.on('data', (data) => (connection.text += data));
    connection.socket.on('error', (error) => (connection.error = error.code));
    connection.socket.on('close', () => {
      connection.closed = true;
      connection.closedAt = Date.now();
    });
    connection.send = (text) => connection.socket.write(text, 'latin1');
    connection.until = async (matches, ms = 5000) => {
      for (let waited = 0; !matches(connection); waited += 10) {
        assert.ok(waited < ms, `nothing came of it: ${JSON.stringify(connection.text.slice(0, 400))} closed=${connection.closed}`);
        await sleep(10);
      }
      return connection;
    };
    connection.end = () => connection.socket.destroy();
    return connection;
  }
  // Sends a request that asks to close, returns the answers.
  async ask(text) {
    const connection = this.connect();
    connection.send(text);
    await connection.until((c) => c.closed);
    return answers(connection.text);
  }
  async json(method, target, body = '') {
    const [answer] = await this.ask(
      `${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    return answer;
  }
}

// Splits what came back into answers: status, headers, body (chunks undone).
function answers(text, methods = []) {
  const list = [];
  let rest = text;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    assert.ok(end >= 0, `no head in ${JSON.stringify(rest.slice(0, 200))}`);
    const [line, ...fields] = rest.slice(0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(line)?.[1]);
    assert.ok(status, `not a status line: ${line}`);
    const headers = {};
    for (const field of fields) {
      const [name, ...value] = field.split(': ');
      assert.ok(!(name.toLowerCase() in headers), `header twice: ${name}`);
      headers[name.toLowerCase()] = value.join(': ');
    }
    rest = rest.slice(end + 4);
    if (status === 100) {
      list.push({ status, headers, body: '' });
      continue;
    }
    const isBodiless = status === 204 || status === 304 || methods[list.length] === 'HEAD';
    const length = isBodiless ? 0 : Number(headers['content-length'] ?? rest.length);
    list.push({ status, headers, body: rest.slice(0, length) });
    rest = rest.slice(length);
  }
  return list;
}

function assertProblem(answer, status, type) {
  assert.equal(answer.status, status);
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  const problem = JSON.parse(answer.body);
  assert.equal(problem.status, status);
  if (type) assert.equal(problem.type, `urn:penstock:problem:${type}`);
  assert.ok(problem.title);
  return problem;
}

let server;
let files;
before(async () => {
  files = mkdtempSync(path.join(tmpdir(), 'penstock-httpd-'));
  const root = path.join(files, 'dist');
  mkdirSync(path.join(root, 'assets'), { recursive: true });
  mkdirSync(path.join(root, 'm'));
  writeFileSync(path.join(root, 'index.html'), '<p>dashboard</p>');
  writeFileSync(path.join(root, 'm/index.html'), '<p>phone</p>');
  writeFileSync(path.join(root, 'assets/app-1a2b.js'), 'plain();');
  writeFileSync(path.join(root, 'assets/app-1a2b.js.gz'), 'GZIP');
  writeFileSync(path.join(root, 'assets/app-1a2b.js.br'), 'BROTLI');
  writeFileSync(path.join(root, 'empty.txt'), '');
  writeFileSync(path.join(root, '.hidden'), 'no');
  writeFileSync(path.join(files, 'secret.txt'), 'secret');
  symlinkSync('../secret.txt', path.join(root, 'link.txt'));
  server = await Server.start([root]);
});
after(async () => {
  const { code, signal } = await server.stop();
  rmSync(files, { recursive: true });
  assert.equal(signal, null, server.output);
  assert.equal(code, 0, server.output);
});

describe('requests', () => {
  test('a handler sees path parameters, query, cookie, header and body', async () => {
    const [answer] = await server.ask(
      'PUT /things/%E6%88%BF%201/parts?q=a%2Bb+c HTTP/1.1\r\nHost: a\r\nCookie: b=1; c=2\r\nX-Test:  x \r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
    );
    assert.equal(answer.status, 200);
    const seen = JSON.parse(Buffer.from(answer.body, 'latin1').toString('utf8'));
    assert.deepEqual(seen, {
      method: 'PUT', path: '/things/%E6%88%BF%201/parts', route: '/things/{id}/parts', id: '房 1', q: 'a+b c', cookie: '2',
      header: 'x', remote: '127.0.0.1', body: 'hello',
    });
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  });

  test('a request cut at every byte is understood', async () => {
    const text = 'POST /echo?q=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
    for (let cut = 1; cut < text.length; cut += 7) {
      const connection = server.connect();
      connection.send(text.slice(0, cut));
      await sleep(3);
      connection.send(text.slice(cut));
      await connection.until((c) => c.closed);
      assert.equal(JSON.parse(answers(connection.text)[0].body).body, 'abc', `cut at ${cut}`);
    }
  });

  test('pipelined requests are answered in order, also when the first is slow', async () => {
    const connection = server.connect();
    const get = (target, more = '') => `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
    connection.send(get('/slow') + get('/things/2') + 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' + get('/things/4', 'Connection: close\r\n'));
    await connection.until((c) => c.closed);
    const list = answers(connection.text).map((answer) => JSON.parse(answer.body));
    assert.deepEqual(list.map((each) => each.id ?? each.slow), [true, '2', '', '4']);
    assert.equal(list[2].body, 'abc');
  });

  test('a refused request behind a good one is answered after it', async () => {
    const connection = server.connect();
    connection.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
    await connection.until((c) => c.closed);
    const list = answers(connection.text);
    assert.deepEqual(list.map((each) => each.status), [200, 400]);
  });

  test('HEAD gets the headers of GET and no body, and the next answer is not misread', async () => {
    const connection = server.connect();
    connection.send('HEAD /things/7 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /none.txt HTTP/1.1\r\nHost: a\r\n\r\nGET /things/8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await connection.until((c) => c.closed);
    const list = answers(connection.text, ['HEAD', 'HEAD', 'GET']);
    assert.deepEqual(list.map((each) => each.status), [200, 404, 200]);
    assert.ok(Number(list[0].headers['content-length']) > 50);
    assert.equal(JSON.parse(list[2].body).id, '8');
  });

  test('204 has neither body nor Content-Length', async () => {
    const answer = await server.json('GET', '/nothing');
    assert.equal(answer.status, 204);
    assert.equal(answer.headers['content-length'], undefined);
  });

  test('Expect: 100-continue is met, refused before the body when it is too large', async () => {
    const waiting = server.connect();
    waiting.send('POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n');
    await waiting.until((c) => c.text.includes('\r\n\r\n'));
    assert.match(waiting.text, /^HTTP\/1.1 100 /);
    waiting.send('ok');
    await waiting.until((c) => c.closed);
    assert.equal(JSON.parse(answers(waiting.text)[1].body).body, 'ok');
    const [refused] = await server.ask('POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n');
    assertProblem(refused, 413, 'too-large');
  });

  test('HTTP/1.0 is answered and closed, or kept when it asks', async () => {
    const [answer] = await server.ask('GET /things/1 HTTP/1.0\r\n\r\n');
    assert.equal(answer.status, 200);
    const kept = server.connect();
    kept.send('GET /things/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await kept.until((c) => c.text.includes('"id":"1"'));
    kept.send('GET /things/2 HTTP/1.0\r\n\r\n');
    await kept.until((c) => c.closed);
    assert.match(kept.text, /"id":"2"/);
  });
});

describe('what two readers could understand differently', () => {
  const post = 'POST /echo HTTP/1.1\r\nHost: a\r\n';
  const smuggled = 'GET /things/smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
  const cases = [
    ['two different Content-Length', `${post}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`, 400],
    ['two equal Content-Length', `${post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, 400],
    ['a list of Content-Length', `${post}Content-Length: 0, ${smuggled.length}\r\n\r\n${smuggled}`, 400],
    ['a signed Content-Length', `${post}Content-Length: +3\r\n\r\nabc`, 400],
    ['Content-Length and Transfer-Encoding', `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`, 400],
    ['Transfer-Encoding: gzip, chunked', `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`, 501],
    ['Transfer-Encoding: xchunked', `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`, 501],
    ['two Transfer-Encoding', `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`, 501],
    ['Transfer-Encoding on HTTP/1.0', 'POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 501],
    ['space before the colon', `${post}Content-Length : 3\r\n\r\nabc`, 400],
    ['a folded header', `${post}X: a\r\n Content-Length: 3\r\n\r\nabc`, 400],
    ['a bare LF behind a header', `${post}Content-Length: 3\n\r\nabc`, 400],
    ['a head of bare LF', 'GET /echo HTTP/1.1\nHost: a\n\n', 400],
    ['a bare CR', `${post}X: a\rContent-Length: 3\r\n\r\n`, 400],
    ['a NUL', `${post}X: a\0b\r\n\r\n`, 400],
    ['no Host', 'GET /echo HTTP/1.1\r\n\r\n', 400],
    ['two Host', 'GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['an absolute target', 'GET http://b/echo HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a chunk longer than it says', `${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n`, 400],
    ['a chunk size with bare LF', `${post}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n`, 400],
    ['a negative chunk', `${post}Transfer-Encoding: chunked\r\n\r\n-1\r\n`, 400],
    ['an unknown method', 'BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n', 501],
    ['TRACE', 'TRACE /echo HTTP/1.1\r\nHost: a\r\n\r\n', 501],
    ['HTTP/2.0', 'GET /echo HTTP/2.0\r\nHost: a\r\n\r\n', 505],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['an unmet expectation', `${post}Expect: magic\r\n\r\n`, 417],
    ['a TLS greeting', '\x16\x03\x01\x00\xa5\x01\n\x00\x00\xa1\x03\x03', 400],
  ];
  for (const [name, text, status] of cases) {
    test(`${name} is refused once and the connection closed`, async () => {
      const list = await server.ask(text);
      assert.equal(list.length, 1, 'exactly one answer');
      assertProblem(list[0], status);
      assert.equal(list[0].headers.connection, 'close');
    });
  }
});

describe('bounds', () => {
  test('a head over its bound is 431', async () => {
    const [answer] = await server.ask(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(3000)}\r\n\r\n`);
    assertProblem(answer, 431, 'head-too-large');
    const [many] = await server.ask(`GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(40)}\r\n`);
    assertProblem(many, 431, 'head-too-large');
  });

  test('a body over its bound is 413, also when the client sends it all before it listens', async () => {
    const [answer] = await server.ask(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n${'x'.repeat(2000000)}`);
    assertProblem(answer, 413, 'too-large');
    const [chunked] = await server.ask(`POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n${'x'.repeat(3000)}`);
    assertProblem(chunked, 413, 'too-large');
  });

  test('a route may take more than the server', async () => {
    const answer = await server.json('POST', '/large-body', 'x'.repeat(500_000));
    assert.deepEqual(JSON.parse(answer.body), { slow: true, n: 500_000 });
  });

  test('one byte every 100 ms meets the deadline of the whole request: 408', async () => {
    const connection = server.connect();
    const text = `GET /echo HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(100)}`;
    for (let i = 0; i < text.length && !connection.closed; i++) {
      connection.send(text[i]);
      await sleep(100);
    }
    assert.ok(connection.closed);
    assertProblem(answers(connection.text)[0], 408, 'request-timeout');
    assert.ok(connection.closedAt - connection.openedAt < 2000);
  });

  test('a body that drips meets it too', async () => {
    const connection = server.connect();
    connection.send('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n');
    for (let i = 0; i < 30 && !connection.closed; i++) {
      connection.send('x');
      await sleep(100);
    }
    assertProblem(answers(connection.text)[0], 408, 'request-timeout');
  });

  test('an idle connection is closed without a word', async () => {
    const connection = server.connect();
    await connection.until((c) => c.closed);
    assert.equal(connection.text, '');
    assert.ok(connection.closedAt - connection.openedAt >= 1300);
  });

  test('a connection carries five requests, then closes', async () => {
    const connection = server.connect();
    connection.send('GET /things/1 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(8));
    await connection.until((c) => c.closed);
    const list = answers(connection.text);
    assert.equal(list.length, 5);
    assert.deepEqual(list.map((each) => each.headers.connection), [undefined, undefined, undefined, undefined, 'close']);
  });

  test('a full queue answers 503 with Retry-After at once', async () => {
    const connections = Array.from({ length: 10 }, () => server.connect());
    for (const each of connections) each.send('GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    for (const each of connections) await each.until((c) => c.closed);
    const list = connections.map((each) => answers(each.text)[0]);
    const busy = list.filter((each) => each.status === 503);
    const served = list.filter((each) => each.status === 200).length;
    // Three in the queue, and with up to two workers that had already taken one.
    assert.ok(served >= 3 && served <= 5, `${served} served`);
    assert.equal(busy.length, 10 - served);
    for (const each of busy) {
      assertProblem(each, 503, 'busy');
      assert.ok(Number(each.headers['retry-after']) >= 1);
    }
  });

  test('more connections than an address may have are refused', async () => {
    const connections = Array.from({ length: 25 }, () => server.connect());
    await sleep(300);
    const refused = connections.filter((each) => each.text !== '');
    for (const each of refused) assertProblem(answers(each.text)[0], 429, 'too-many-connections');
    assert.equal(refused.length, 5);
    for (const each of connections) each.end();
    await sleep(100);
    assert.equal((await server.json('GET', '/nothing')).status, 204, 'and are welcome again afterwards');
  });

  test('who sends far ahead of the answers is not read', async () => {
    const connection = server.connect();
    connection.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    let sent = 0;
    const chunk = 'x'.repeat(65536);
    while (sent < 64 && connection.socket.writableLength < 65536 * 8) {
      connection.send(chunk);
      sent++;
      await sleep(2);
    }
    await connection.until((c) => c.closed);
    assert.match(connection.text, /"slow":true/);
  });

  test('many at once: nobody waits for another, all are answered', async () => {
    let answered = 0;
    await Promise.all(
      Array.from({ length: 15 }, async (_, index) => {
        for (let i = 0; i < 20; i++) {
          const answer = await server.json('GET', `/things/${index}-${i}`);
          if (answer.status === 503) continue;
          assert.equal(JSON.parse(answer.body).id, `${index}-${i}`);
          answered++;
        }
      }),
    );
    assert.ok(answered > 150, `${answered} of 300`);
  });
});

describe('answers', () => {
  test('404, 405 with Allow, and a path that does not decode', async () => {
    assertProblem(await server.json('POST', '/api/none'), 404, 'not-found');
    const wrong = await server.json('POST', '/things/1');
    assertProblem(wrong, 405, 'method-not-allowed');
    assert.equal(wrong.headers.allow, 'GET, HEAD, DELETE');
    assertProblem(await server.json('GET', '/things/%ff'), 404, 'not-found');
    assertProblem(await server.json('GET', '/things/%00'), 404, 'not-found');
  });

  test('a handler that says nothing, or too much, is a 500', async () => {
    assertProblem(await server.json('GET', '/silent'), 500, 'internal');
    assertProblem(await server.json('GET', '/too-large'), 500, 'internal');
  });

  test('a problem replaces what the handler had begun and names the place', async () => {
    const answer = await server.json('GET', '/faulty');
    const problem = assertProblem(answer, 422, 'bad-input');
    assert.equal(problem.pointer, '/readings/3/value');
    assert.equal(problem.detail, '"1,5" is no number');
    assert.equal(answer.headers.etag, undefined);
  });

  test('a header cannot be split', async () => {
    const answer = await server.json('GET', '/injected?q=a%0d%0aSet-Cookie:%20x=1');
    assert.equal(answer.headers['x-echo'], 'a  Set-Cookie: x=1');
    assert.equal(answer.headers['set-cookie'], undefined);
  });

  test('three megabytes arrive whole', async () => {
    const answer = await server.json('GET', '/large');
    assert.equal(answer.body.length, 3 << 20);
  });

  test('a peer that goes while its handler runs harms nobody', async () => {
    for (let i = 0; i < 4; i++) {
      const connection = server.connect();
      connection.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
      await sleep(30);
      connection.socket.resetAndDestroy();
    }
    await sleep(1800);
    assert.equal((await server.json('GET', '/nothing')).status, 204);
  });

  test('X-Forwarded-For counts only when it is trusted', async () => {
    const ask = 'GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 1.1.1.1, 203.0.113.9\r\n\r\n';
    assert.equal(JSON.parse((await server.ask(ask))[0].body).remote, '127.0.0.1');
    const trusting = await Server.start([], { PENSTOCK_ECHO_FORWARDED: '1' });
    assert.equal(JSON.parse((await trusting.ask(ask))[0].body).remote, '203.0.113.9');
    assert.equal(JSON.parse((await trusting.ask(ask.replace('203.0.113.9', 'evil"text')))[0].body).remote, '127.0.0.1');
    await trusting.stop();
  });
});

describe('streams', () => {
  const open = async () => {
    const connection = server.connect();
    connection.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
    return connection.until((c) => c.text.includes('data: hello'));
  };

  test('events arrive in order, silence is broken by heartbeats, the end is clean', async () => {
    const [first, second] = [await open(), await open()];
    assert.match(first.text, /content-type: text\/event-stream/i);
    assert.match(first.text, /x-accel-buffering: no/i);
    assert.match(first.text, /transfer-encoding: chunked/i);
    await server.json('POST', '/publish', 'data: 1\n\n');
    await server.json('POST', '/publish', 'data: 2\n\n');
    await first.until((c) => /hello[^]*data: 1[^]*data: 2/.test(c.text));
    await second.until((c) => /hello[^]*data: 1[^]*data: 2/.test(c.text));
    await first.until((c) => (c.text.match(/:\n\n/g) ?? []).length >= 2, 3000);
    await server.json('POST', '/close-streams');
    await first.until((c) => c.closed);
    assert.ok(first.text.endsWith('0\r\n\r\n'));
    await second.until((c) => c.closed);
  });

  test('a peer that goes is told to the owner', async () => {
    const before = JSON.parse((await server.json('POST', '/publish', 'x')).body).closed;
    const gone = await open();
    gone.socket.resetAndDestroy();
    await sleep(200);
    const now = JSON.parse((await server.json('POST', '/publish', 'x')).body);
    assert.equal(now.closed, before + 1);
    assert.equal(now.open, 0);
    await server.json('POST', '/close-streams');
  });

  test('a peer that does not read is given up, memory stays bounded', async () => {
    const lazy = await open();
    lazy.socket.pause();
    const line = `data: ${'x'.repeat(3000)}\n\n`;
    let still = 1;
    for (let i = 0; i < 600 && still > 0; i++) still = JSON.parse((await server.json('POST', '/publish?times=8', line)).body).open;
    assert.equal(still, 0);
    lazy.end();
    await server.json('POST', '/close-streams');
    await sleep(100);
    assert.equal(JSON.parse((await server.json('GET', '/stats')).body).streams, 0);
  });

  test('HEAD of a stream ends', async () => {
    const [answer] = await server.ask('HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(answer.status, 200);
    await server.json('POST', '/close-streams');
  });
});

describe('files', () => {
  const get = async (target, fields = '') =>
    (await server.ask(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`))[0];

  test('the index answers for paths of the application, the phone has its own', async () => {
    for (const target of ['/', '/rooms/12', '/login?next=/a.b']) {
      const answer = await get(target);
      assert.equal(answer.body, '<p>dashboard</p>', target);
      assert.equal(answer.headers['cache-control'], 'no-cache');
      assert.match(answer.headers['content-security-policy'], /default-src 'self'/);
      assert.equal(answer.headers['x-frame-options'], 'DENY');
    }
    assert.equal((await get('/m/')).body, '<p>phone</p>');
    assert.equal((await get('/m/room/1')).body, '<p>phone</p>');
  });

  test('the best precompressed form is sent', async () => {
    const forms = [['', 'plain();', undefined], ['gzip', 'GZIP', 'gzip'], ['gzip, deflate, br', 'BROTLI', 'br'], ['br;q=0, gzip;q=0.5', 'GZIP', 'gzip']];
    for (const [accepted, body, encoding] of forms) {
      const answer = await get('/assets/app-1a2b.js', accepted ? `Accept-Encoding: ${accepted}\r\n` : '');
      assert.equal(answer.body, body);
      assert.equal(answer.headers['content-encoding'], encoding);
      assert.equal(answer.headers['content-type'], 'text/javascript; charset=utf-8');
      assert.match(answer.headers['cache-control'], /immutable/);
      assert.equal(answer.headers.vary, 'Accept-Encoding');
    }
  });

  test('an unchanged file is 304', async () => {
    const { headers } = await get('/index.html');
    const again = await get('/index.html', `If-None-Match: ${headers.etag}\r\n`);
    assert.equal(again.status, 304);
    assert.equal(again.body, '');
  });

  test('nothing leaves the folder', async () => {
    for (const target of ['/../secret.txt', '/%2e%2e/secret.txt', '/assets/..%2f..%2fsecret.txt', '//etc/passwd.txt', '/.hidden', '/link.txt', '/assets/%5c..%5csecret.txt', '/none.js', '/assets/none']) {
      const answer = await get(target);
      assert.doesNotMatch(answer.body, /secret|root:|^no$/, target);
      if (target !== '/assets/none') assertProblem(answer, 404);
    }
    assert.equal((await get('/empty.txt')).headers['content-length'], '0');
    assertProblem(await get('/api/none'), 404);
  });
});

describe('start and stop', () => {
  test('a port in use is named', async () => {
    const second = await Server.start([], { PENSTOCK_ECHO_LISTEN: `127.0.0.1:${server.port}` });
    assert.equal((await second.exited).code, 2);
    assert.match(second.output, new RegExp(`127.0.0.1:${server.port}: the port is in use`));
  });

  test('an address that is none is named', async () => {
    for (const address of ['8080', 'localhost:80', '127.0.0.1:99999', ':80', '[::1]']) {
      const bad = await Server.start([], { PENSTOCK_ECHO_LISTEN: address });
      bad.child.stdin.end();
      assert.equal((await bad.exited).code, 2, address);
      assert.ok(bad.output.includes(`${address}: the address to listen at`), bad.output);
    }
  });

  test('draining answers what is under way, closes what is idle and takes nothing new', async () => {
    const own = await Server.start();
    const idle = own.connect();
    const busy = own.connect();
    const stream = own.connect();
    stream.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
    busy.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await stream.until((c) => c.text.includes('hello'));
    await sleep(100);
    own.child.stdin.end();
    await idle.until((c) => c.closed, 500);
    await stream.until((c) => c.closed, 500);
    const late = own.connect();
    await late.until((c) => c.closed, 500);
    assert.equal(late.error, 'ECONNREFUSED');
    await busy.until((c) => c.closed);
    assert.match(busy.text, /^HTTP\/1.1 200 [^]*Connection: close[^]*"slow":true/);
    assert.deepEqual(await own.exited, { code: 0, signal: null });
    assert.match(own.output, /stopped clean/);
  });

  test('a stop with a deadline cuts off who does not finish', async () => {
    const own = await Server.start();
    const lazy = own.connect();
    lazy.send('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    lazy.socket.pause();
    await sleep(200);
    own.child.stdin.end();
    assert.deepEqual(await own.exited, { code: 0, signal: null });
    assert.match(own.output, /stopped cut/);
    lazy.end();
  });
});
