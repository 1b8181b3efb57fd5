// The HTTP client from the other side, byte by byte: what it sends, what it refuses, and above all whether it tells "not
// sent" from "unknown". Needs no PostgreSQL or Redis.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { makeCertificate, newKeyPair } from '../../fakes/certificates.mjs';
import { freePort, sleep, withDeadline } from '../../support/wait.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

function program() {
  const folders = [process.env.PENSTOCK_BUILD_DIR, 'build/test', 'build/debug', 'build/asan'].filter(Boolean);
  const found = folders.map((folder) => path.resolve(ROOT, folder, 'tests/httpc_driver')).find((file) => existsSync(file));
  assert.ok(found, `no httpc_driver in ${folders.join(', ')}`);
  return found;
}

class Client {
  constructor(env = {}) {
    this.child = spawn(program(), [], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    this.exited = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve({ code, signal })));
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }
  async ask(command) {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await withDeadline(this.lines.next(), 20_000, 'the answer');
    assert.ok(!done, 'the driver ended');
    return JSON.parse(value);
  }
  make(options = {}) {
    return this.ask({ do: 'new', ...options });
  }
  send(url, members = {}) {
    return this.ask({ do: 'send', method: 'GET', url, ...members });
  }
  async stop() {
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    const ended = await this.exited;
    clearTimeout(timer);
    assert.deepEqual(ended, { code: 0, signal: null });
  }
}

// A server that does with each connection's bytes what the test says: behave(text, socket, n) at each whole request.
async function rawServer(behave, { host = '127.0.0.1', secure } = {}) {
  const requests = [];
  let connections = 0;
  const onConnection = (socket) => {
    connections++;
    let text = '';
    socket.setEncoding('latin1');
    socket.on('error', () => {});
    socket.on('data', (data) => {
      text += data;
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end < 0 || text.length < end + 4 + length) return;
      requests.push(text);
      const request = text;
      text = '';
      behave(request, socket, requests.length);
    });
  };
  const server = secure ? tls.createServer(secure, onConnection) : net.createServer(onConnection);
  server.on('tlsClientError', () => {});
  await new Promise((resolve) => server.listen(0, host, resolve));
  const { port } = server.address();
  return {
    requests,
    port,
    connections: () => connections,
    url: `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}

const answer = (body = 'ok', head = '') => `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${head}\r\n${body}`;

describe('httpc', { timeout: 120_000 }, () => {
  let client;
  const servers = [];
  const serve = async (behave, options) => {
    const server = await rawServer(typeof behave === 'string' ? (_, socket) => socket.write(behave) : behave, options);
    servers.push(server);
    return server;
  };

  before(() => (client = new Client()));
  after(async () => {
    await client.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  test('a request is exactly what it should be', async () => {
    await client.make();
    const server = await serve(answer());
    const told = await client.send(`${server.url}/a/../b/%2e%2e/c?x=1&y=%20`, { method: 'POST', headers: [['X-A', '1'], ['X-Empty', ''], ['Content-Type', 'application/json']], body: '{"a":"电"}' });
    assert.deepEqual([told.status, told.body], [200, 'ok']);
    const [head, body] = Buffer.from(server.requests[0], 'latin1').toString().split('\r\n\r\n');
    const lines = head.split('\r\n');
    assert.equal(lines[0], 'POST /a/../b/%2e%2e/c?x=1&y=%20 HTTP/1.1');
    assert.deepEqual(lines.slice(1).sort(), ['Accept: */*', 'Content-Length: 11', 'Content-Type: application/json', `Host: 127.0.0.1:${server.port}`, 'User-Agent: Penstock', 'X-A: 1', 'X-Empty:'].sort());
    assert.equal(body, '{"a":"电"}');
    await client.send(server.url, { method: 'POST' });
    assert.match(server.requests[1], /^POST \/ HTTP\/1\.1\r\n(?=[^]*Content-Length: 0\r\n)(?![^]*Content-Type)/);
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      await client.send(server.url, { method, body: method === 'DELETE' ? '' : 'x' });
      assert.ok(server.requests.at(-1).startsWith(`${method} / HTTP/1.1`));
    }
    await client.send(server.url, { method: 'POST', body: 'x'.repeat(100_000) });
    assert.doesNotMatch(server.requests.at(-1), /Expect:/i);
    await client.send(server.url);
    assert.doesNotMatch(server.requests.at(-1), /Content-Length|Transfer-Encoding|Accept-Encoding/i);
  });

  test('answers: every status as it is, headers of any case, counted; interim answers dropped; no redirect', async () => {
    await client.make();
    for (const status of [204, 301, 302, 400, 404, 500, 503]) {
      const server = await serve(`HTTP/1.1 ${status} X\r\n${status === 204 ? '' : 'Content-Length: 0\r\n'}Location: http://127.0.0.1:1/\r\n\r\n`);
      assert.equal((await client.send(server.url)).status, status);
      assert.equal(server.requests.length, 1);
    }
    const server = await serve('HTTP/1.1 103 Early Hints\r\nX-One: no\r\n\r\nHTTP/1.1 200 OK\r\nx-ONE:  a b \t\r\nX-One: second\r\nContent-Length: 2\r\n\r\nok');
    const told = await client.send(server.url);
    assert.deepEqual([told.status, told.x, told.x_count, told.header_count, told.body], [200, 'a b', 2, 3, 'ok']);
    const chunked = await serve('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
    assert.equal((await client.send(chunked.url)).body, 'abcde');
    const trailed = await client.send((await serve('HTTP/1.1 200 OK\r\nX-One: head\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-One: trailer\r\n\r\n')).url);
    assert.deepEqual([trailed.status, trailed.x, trailed.x_count, trailed.body], [200, 'head', 1, 'abc']);
    const head = await serve('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n');
    assert.deepEqual([(await client.send(head.url, { method: 'HEAD' })).status], [200]);
  });

  test('connections are kept, and a request that must go once gets its own', async () => {
    await client.make();
    const server = await serve(answer());
    for (let i = 0; i < 5; i++) assert.equal((await client.send(server.url)).status, 200);
    assert.equal(server.connections(), 1);
    await client.send(server.url, { once: 1 });
    assert.equal(server.connections(), 2);
  });

  test('a kept connection that breaks: sent again, but what goes once is sent once and unknown', async () => {
    for (const once of [0, 1]) {
      await client.make();
      const server = await serve((_, socket, n) => (n === 2 ? socket.destroy() : socket.write(answer())));
      assert.equal((await client.send(server.url)).status, 200);
      const told = await client.send(server.url, { method: 'POST', body: 'x', once });
      if (once) assert.deepEqual([told.error, server.requests.length], ['UNCERTAIN', 2]);
      else assert.deepEqual([told.status, server.requests.length], [200, 3]);
    }
  });

  test('nothing was sent: no listener, no such name, a handshake that never ends, a port that is silent', async () => {
    await client.make({ connect_timeout_ms: 400 });
    const port = await freePort();
    assert.deepEqual([(await client.send(`http://127.0.0.1:${port}/`)).error], ['UNAVAILABLE']);
    assert.deepEqual([(await client.send('http://no-such-host.invalid/')).error], ['UNAVAILABLE']);
    const silent = await serve(() => {});
    const began = performance.now();
    const told = await client.send(`https://127.0.0.1:${silent.port}/`);
    assert.equal(told.error, 'UNAVAILABLE');
    assert.ok(performance.now() - began < 3_000);
    assert.equal(silent.requests.length, 0);
    const plain = net.createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(answer())));
    await new Promise((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const mistaken = await client.send(`https://127.0.0.1:${plain.address().port}/`);
    await new Promise((resolve) => plain.close(resolve));
    assert.deepEqual([mistaken.error, mistaken.place], ['UNAVAILABLE', 'tls']);
  });

  test('anything may have happened: silence, a broken answer, no HTTP, a drip', async () => {
    await client.make({ total_timeout_ms: 500 });
    for (const [what, behave] of [
      ['silence', () => {}],
      ['half a status line', (_, socket) => socket.write('HTTP/1.1 20')],
      ['half a head', (_, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le')],
      ['half a body', (_, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')],
      ['half a chunk', (_, socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab')],
      ['a bad chunk', (_, socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab')],
      ['not HTTP', (_, socket) => socket.end('SSH-2.0-OpenSSH\r\n')],
      ['HTTP/0.9', (_, socket) => socket.end('hello')],
      ['a closed connection', (_, socket) => socket.end()],
      ['a reset connection', (_, socket) => socket.resetAndDestroy()],
      ['a drip', (_, socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
        const timer = setInterval(() => socket.writable && socket.write('x'), 50);
        socket.on('close', () => clearInterval(timer));
      }],
      ['two lengths', (_, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 30\r\n\r\nok')],
    ]) {
      const server = await serve(behave);
      const began = performance.now();
      const told = await client.send(server.url, { method: 'POST', body: 'x' });
      assert.deepEqual([told.error, told.status, told.place], ['UNCERTAIN', undefined, 'answer'], what);
      assert.ok(told.reason.length > 3 && performance.now() - began < 2_000, what);
      assert.equal(server.requests.length, 1, what);
    }
  });

  test('answers are bounded: the head, the body by its announcement, by its chunks and by its end', async () => {
    await client.make({ head_max: 1000, body_max: 1000 });
    const fits = await serve(answer('x'.repeat(1000)));
    assert.equal((await client.send(fits.url)).body.length, 1000);
    for (const text of [
      answer('x'.repeat(1001)),
      `HTTP/1.1 200 OK\r\nX-A: ${'x'.repeat(1000)}\r\nContent-Length: 0\r\n\r\n`,
      `HTTP/1.1 200 OK\r\n${'X-A: 1\r\n'.repeat(200)}Content-Length: 0\r\n\r\n`,
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'64\r\n' .concat('x'.repeat(100), '\r\n').repeat(11)}0\r\n\r\n`,
    ]) {
      const server = await serve(text);
      assert.equal((await client.send(server.url)).error, 'TOO_LARGE', text.slice(0, 60));
    }
    const endless = await serve((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const timer = setInterval(() => socket.write('x'.repeat(10_000)), 5);
      socket.on('close', () => clearInterval(timer));
    });
    assert.equal((await client.send(endless.url)).error, 'TOO_LARGE');
    assert.equal((await client.send(fits.url)).status, 200);
  });

  test('what is no request is refused before anything is sent', async () => {
    const server = await serve(answer());
    await client.make();
    for (const [members, place] of [
      [{ url: 'ftp://127.0.0.1/' }, 'url'],
      [{ url: 'file:///etc/passwd' }, 'url'],
      [{ url: '' }, 'url'],
      [{ url: '/path' }, 'url'],
      [{ url: `${server.url}/a b` }, 'url'],
      [{ url: `${server.url}/\r\nX: 1` }, 'url'],
      [{ url: `http://[::1` }, 'url'],
      [{ url: `http://127.0.0.1:99999/` }, 'url'],
      [{ url: `${server.url}/${'x'.repeat(20_000)}` }, 'url'],
      [{ method: '' }, 'method'],
      [{ method: 'GET /x HTTP/1.1' }, 'method'],
      [{ body: 'x' }, 'method'],
      [{ headers: [['X-A', '1\r\nX-B: 2']] }, 'header'],
      [{ headers: [['X-A', '1\nX-B: 2']] }, 'header'],
      [{ headers: [['X A', '1']] }, 'header'],
      [{ headers: [['', '1']] }, 'header'],
      [{ headers: [['X-A:', '1']] }, 'header'],
      [{ headers: [['X-A', 'x'.repeat(40_000)]] }, 'header'],
    ]) {
      const told = await client.send(server.url, members);
      assert.deepEqual([told.error, told.place], ['BAD_INPUT', place], JSON.stringify(members).slice(0, 80));
    }
    await client.make({ plain: 0 });
    assert.deepEqual([(await client.send(server.url)).place], ['url']);
    assert.equal(server.requests.length, 0);
  });

  test('proxies of the environment are not used', async () => {
    const proxy = await serve(answer('proxy'));
    const server = await serve(answer('server'));
    const other = new Client({ http_proxy: proxy.url, HTTPS_PROXY: proxy.url, ALL_PROXY: proxy.url, all_proxy: proxy.url });
    await other.make();
    assert.equal((await other.send(server.url)).body, 'server');
    assert.equal(proxy.requests.length, 0);
    await other.stop();
  });

  test('addresses: asked before connecting and again before reuse; a refused one gets not a byte', async () => {
    await client.make({ gate: 1 });
    const server = await serve(answer());
    assert.equal((await client.send(server.url)).asked, '127.0.0.1 127.0.0.1');
    assert.equal((await client.send(server.url)).asked, '127.0.0.1');
    const six = await serve(answer(), { host: '::1' });
    assert.match((await client.send(six.url)).asked, /^::1 ::1$/);
    await client.make({ gate: 1, refuse: '127.0.0.1' });
    for (const url of [server.url, `http://localhost.:${server.port}/`, `http://2130706433:${server.port}/`, `http://0x7f.1:${server.port}/`, `http://127.1:${server.port}/`]) {
      const connections = server.connections();
      const told = await client.send(url);
      assert.equal(told.status, undefined, url);
      assert.ok(['FORBIDDEN', 'UNAVAILABLE'].includes(told.error), `${url}: ${told.error}`);
      await sleep(20);
      assert.equal(server.connections(), connections, url);
    }
    assert.deepEqual([(await client.send(server.url)).error, (await client.send(server.url)).place], ['FORBIDDEN', 'address']);
  });

  describe('TLS', () => {
    let folder;
    let pair;
    const files = {};
    before(() => {
      folder = mkdtempSync(path.join(tmpdir(), 'penstock-httpc-'));
      pair = newKeyPair();
      for (const [name, options] of [['good', { names: ['localhost', '127.0.0.1'] }], ['other', { names: ['other.example'] }], ['old', { names: ['localhost'], to: Date.now() - 1000 }]]) {
        files[name] = { certificate: makeCertificate({ common: options.names[0], publicKey: pair.publicKey, privateKey: pair.privateKey, ...options }) };
        files[name].path = path.join(folder, `${name}.pem`);
        writeFileSync(files[name].path, files[name].certificate);
      }
    });
    after(() => rmSync(folder, { recursive: true }));
    const secure = (name, more = {}) => serve(answer('safe'), { secure: { key: pair.privateKey, cert: files[name].certificate, ...more } });

    test('a trusted certificate of the right name is accepted', async () => {
      await client.make({ ca_file: files.good.path });
      const server = await secure('good');
      const told = await client.send(`https://localhost:${server.port}/`);
      assert.equal(told.body, 'safe', told.reason);
    });

    test('an untrusted, a foreign, an expired one and an old protocol are not: nothing is sent', async () => {
      const good = await secure('good');
      await client.make();
      assert.deepEqual([(await client.send(`https://localhost:${good.port}/`)).error, (await client.send(`https://localhost:${good.port}/`)).place], ['UNAVAILABLE', 'tls']);
      for (const name of ['other', 'old']) {
        await client.make({ ca_file: files[name].path });
        const server = await secure(name);
        const told = await client.send(`https://localhost:${server.port}/`);
        assert.deepEqual([told.error, told.place], ['UNAVAILABLE', 'tls'], name);
        assert.equal(server.requests.length, 0);
      }
      const outdated = await secure('good', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
      await client.make({ ca_file: files.good.path });
      assert.deepEqual([(await client.send(`https://localhost:${outdated.port}/`)).error], ['UNAVAILABLE']);
      assert.equal(good.requests.length, 0);
    });

    test('a CA file that is not there is told when the handle is made', async () => {
      const told = await client.make({ ca_file: '/nowhere/ca.pem' });
      assert.deepEqual([told.error, told.place], ['BAD_INPUT', 'ca_file']);
    });
  });
});
