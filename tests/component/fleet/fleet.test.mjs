// penstock-fleet as others meet it: a bus master and a push server written here speak with the program.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Child, runProgram } from '../../support/child.mjs';
import { program } from '../../support/stack.mjs';
import { waitFor, withDeadline } from '../../support/wait.mjs';

const FLEET = program('penstock-fleet');
const folder = mkdtempSync(join(tmpdir(), 'fleet-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const ADDRESS = '151230011061';
const SECRET = '0b'.repeat(20);
let files = 0;
const file = (name) => join(folder, `${++files}-${name}`);

// ---- a bus master

function frame(address, control, data) {
  const wire = [0x68, ...address.match(/../g).reverse().map((pair) => parseInt(pair, 16)), 0x68, control, data.length];
  wire.push(...data.map((byte) => (byte + 0x33) & 0xff));
  wire.push(wire.reduce((sum, byte) => sum + byte, 0) & 0xff, 0x16);
  return Buffer.from(wire);
}

const id = (text) => text.match(/../g).reverse().map((pair) => parseInt(pair, 16));

class Master {
  constructor() {
    this.links = [];
    this.server = net.createServer((socket) => {
      const link = { socket, bytes: Buffer.alloc(0), chunks: 0, closed: false };
      socket.on('data', (chunk) => {
        link.bytes = Buffer.concat([link.bytes, chunk]);
        link.chunks++;
      });
      socket.on('close', () => (link.closed = true));
      socket.on('error', () => {});
      this.links.push(link);
    });
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${this.server.address().port}`;
  }

  // The link once it has logged in; its log-in line is taken off.
  async link(registration, number = 0) {
    const line = `${registration}\r\n`;
    const link = await waitFor(() => this.links.filter((one) => one.bytes.includes(line) || one.in)[number], { what: 'the log-in' });
    if (!link.in) link.bytes = link.bytes.subarray(link.bytes.indexOf(line) + line.length);
    link.in = true;
    return link;
  }

  async ask(link, request, wanted = 12) {
    link.bytes = Buffer.alloc(0);
    link.socket.write(request);
    await waitFor(() => link.bytes.length >= wanted, { what: 'an answer', within_ms: 5000 });
    return link.bytes;
  }

  stop() {
    for (const link of this.links) link.socket.destroy();
    this.server.close();
  }
}

const dtuConfig = (tcp, extra = {}) => ({
  seed: 1,
  tcp,
  gateways: [
    {
      kind: 'dtu',
      registration: 'dtu-0123456789abcdef',
      heartbeat_s: 1,
      answer_ms: 1,
      meters: [{ address: ADDRESS, profile: 'shop', start_wh: 1234567, phases: 1, password: '02000000' }],
    },
  ],
  ...extra,
});

function start(config, args = []) {
  const path = file('fleet.json');
  writeFileSync(path, JSON.stringify(config));
  return new Child('fleet', FLEET, ['--config', path, ...args]);
}

function order(path, command) {
  return withDeadline(
    new Promise((resolve, reject) => {
      const socket = net.connect(path, () => socket.write(`${JSON.stringify(command)}\n`));
      let text = '';
      socket.on('error', reject);
      socket.on('data', (chunk) => {
        text += chunk;
        if (!text.endsWith('\n')) return;
        socket.destroy();
        resolve(JSON.parse(text));
      });
    }),
    5000,
    'the control socket',
  );
}

const truthOf = (path) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

const READ_TOTAL = frame(ADDRESS, 0x11, id('00010000'));
const KWH_1234_56 = Buffer.concat([Buffer.alloc(4, 0xfe), frame(ADDRESS, 0x91, [...id('00010000'), 0x56, 0x34, 0x12, 0x00])]);

async function withDtu(t, extra = {}) {
  const master = new Master();
  const tcp = await master.listen();
  const [truth, control] = [file('truth'), file('ctl')];
  const fleet = start(dtuConfig(tcp, extra), ['--truth', truth, '--control', control]);
  t.after(async () => {
    await fleet.killNow().catch(() => {});
    master.stop();
  });
  const link = await master.link('dtu-0123456789abcdef');
  return { master, link, fleet, truth, control, tcp };
}

test('a gateway logs in, beats, and its meter answers the published bytes', async (t) => {
  const { master, link, fleet, truth } = await withDtu(t, { start_at: new Date(Date.now() + 1500).toISOString() });
  await waitFor(() => link.bytes.includes('penstock-alive\r\n'), { what: 'a heartbeat' });
  const before = await master.ask(link, frame('AAAAAAAAAAAA', 0x13, []), 22);
  assert.equal(before.toString('hex'), `fefefefe${frame(ADDRESS, 0x93, id(ADDRESS)).toString('hex')}`);
  const answer = await master.ask(link, READ_TOTAL, 24);
  assert.ok(answer.includes(Buffer.from([0x68, 0x91, 0x08, 0x33, 0x33, 0x34, 0x33])));
  const unknown = await master.ask(link, frame(ADDRESS, 0x11, id('070104FF')), 17);
  assert.equal(unknown.toString('hex'), `fefefefe${frame(ADDRESS, 0xd1, [0x02]).toString('hex')}`);
  assert.deepEqual(await fleet.stop(), { code: 0, signal: null });
  const lines = truthOf(truth);
  assert.deepEqual(
    lines.map((line) => line.event),
    ['answered', 'final'],
  );
  assert.equal(lines[0].register, 'active_energy_total');
});

test('a trip stops the register over restarts, a close starts it', async (t) => {
  const state = file('state');
  const master = new Master();
  const tcp = await master.listen();
  const control = file('ctl');
  const config = dtuConfig(tcp, { start_at: '2026-01-01T00:00:00Z' });
  config.gateways[0].meters[0].start_wh = 1000;
  const args = ['--state', state, '--control', control, '--time-scale', '1000'];
  let fleet = start(config, args);
  t.after(async () => {
    await fleet.killNow().catch(() => {});
    master.stop();
  });
  const link = await master.link('dtu-0123456789abcdef');
  const trip = [0x02, 0, 0, 0, 1, 0, 0, 0, 0x1a, 0, 0, 0, 0, 0, 0, 0];
  assert.equal((await master.ask(link, frame(ADDRESS, 0x1c, trip), 16)).toString('hex'), `fefefefe${frame(ADDRESS, 0x9c, []).toString('hex')}`);
  const tripped = await order(control, { do: 'register', meter: ADDRESS });
  assert.equal(tripped.relay, 'open');
  await fleet.killNow();
  fleet = start(config, args);
  const again = await master.link('dtu-0123456789abcdef', 1);
  const restarted = await order(control, { do: 'register', meter: ADDRESS });
  assert.equal(restarted.active_energy_total, tripped.active_energy_total);
  const word = await master.ask(again, frame(ADDRESS, 0x11, id('04000503')), 22);
  assert.ok(word.includes(frame(ADDRESS, 0x91, [...id('04000503'), 0x50, 0x00])));
  const close = [...trip];
  close[8] = 0x1c;
  await master.ask(again, frame(ADDRESS, 0x1c, close), 16);
  await waitFor(async () => Number((await order(control, { do: 'register', meter: ADDRESS })).active_energy_total) > Number(tripped.active_energy_total));
  assert.equal((await fleet.stop()).code, 0);
});

const FAULTS = [
  ['garbage', (bytes) => bytes.length === 8 + 24 && bytes.subarray(8).equals(KWH_1234_56)],
  ['duplicate', (bytes) => bytes.equals(Buffer.concat([KWH_1234_56, KWH_1234_56]))],
  ['echo', (bytes) => bytes.equals(Buffer.concat([READ_TOTAL, KWH_1234_56]))],
  ['wrong_checksum', (bytes) => bytes.length === 24 && !bytes.equals(KWH_1234_56) && bytes.subarray(0, 22).equals(KWH_1234_56.subarray(0, 22))],
  ['wrong_di', (bytes) => bytes.subarray(4).equals(frame(ADDRESS, 0x91, [...id('00000000'), 0x56, 0x34, 0x12, 0x00]))],
];

for (const [fault, isRight] of FAULTS) {
  test(`on order: ${fault}`, async (t) => {
    const { master, link, control } = await withDtu(t, { start_at: '2099-01-01T00:00:00Z' });
    // Far before start_at the register would be lower: set it to what the expected bytes say.
    assert.deepEqual(await order(control, { do: 'set_register', meter: ADDRESS, start_wh: 1234567 }), { ok: true });
    assert.deepEqual(await order(control, { do: 'fault', fault, meter: ADDRESS }), { ok: true });
    const bytes = await master.ask(link, READ_TOTAL, 24);
    await waitFor(() => isRight(link.bytes), { what: `the ${fault} answer, not ${bytes.toString('hex')}`, within_ms: 2000 });
    assert.deepEqual(await order(control, { do: 'clear' }), { ok: true });
    await waitFor(async () => (await master.ask(link, READ_TOTAL, 24)).equals(KWH_1234_56), { what: 'a clean answer' });
  });
}

test('on order: silent, slow, segments, reordered, cut', async (t) => {
  const { master, link, control } = await withDtu(t);
  await order(control, { do: 'fault', fault: 'slow', value: 700 });
  let begun = performance.now();
  await master.ask(link, READ_TOTAL, 24);
  assert.ok(performance.now() - begun >= 690);
  await order(control, { do: 'clear' });
  await order(control, { do: 'fault', fault: 'segments', meter: ADDRESS });
  link.chunks = 0;
  await master.ask(link, READ_TOTAL, 24);
  assert.ok(link.chunks >= 12, `${link.chunks} segments`);
  await order(control, { do: 'clear' });
  await order(control, { do: 'fault', fault: 'reordered', meter: ADDRESS, permille: 1000 });
  link.bytes = Buffer.alloc(0);
  link.socket.write(READ_TOTAL);
  link.socket.write(frame(ADDRESS, 0x11, id('04000503')));
  await waitFor(() => link.bytes.length >= 24 + 22);
  assert.ok(link.bytes.indexOf(Buffer.from('36383337', 'hex')) < link.bytes.indexOf(Buffer.from('33333433', 'hex')));
  await order(control, { do: 'clear' });
  await order(control, { do: 'fault', fault: 'silent', gateway: 'dtu-0123456789abcdef', for_ms: 300 });
  begun = performance.now();
  await assert.rejects(withDeadline(master.ask(link, READ_TOTAL, 24), 200, 'an answer'));
  await waitFor(async () => (await master.ask(link, READ_TOTAL, 24)).length >= 24, { within_ms: 10_000 });
  await order(control, { do: 'fault', fault: 'cut', meter: ADDRESS });
  link.socket.write(READ_TOTAL);
  await waitFor(() => link.closed, { what: 'the cut' });
  await order(control, { do: 'clear' });
  assert.ok(await master.link('dtu-0123456789abcdef', 1), 'it comes back');
});

test('wrong orders and configurations are refused with place and reason', async (t) => {
  const { control } = await withDtu(t);
  for (const [wrong, place] of [
    [{ do: 'fault', fault: 'laser' }, '/fault'],
    [{ do: 'fault', fault: 'slow', meter: '000000000000' }, '/meter'],
    [{ do: 'dance' }, '/do'],
    [{ do: 'press_key', meter: ADDRESS }, '/'],
  ]) {
    const answer = await order(control, wrong);
    assert.equal(answer.ok, false);
    assert.equal(answer.place, place, JSON.stringify(answer));
  }
  const path = file('bad.json');
  writeFileSync(path, JSON.stringify({ gateways: [{ kind: 'dtu', registration: 'x', meters: [{ address: '1', profile: 'shop' }] }] }));
  const { code, stderr } = await runProgram(FLEET, ['--config', path]);
  assert.equal(code, 2);
  assert.match(stderr, /\/gateways\/0\/meters\/0\/address: is not twelve decimal digits/);
});

// ---- a push server

class PushServer {
  constructor(answer) {
    this.requests = [];
    this.server = http.createServer((request, response) => {
      const chunks = [];
      request.on('error', () => {});
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const one = { headers: request.headers, body, number: this.requests.length };
        const head = ['x-penstock-key', 'x-penstock-timestamp', 'x-penstock-counter'].map((name) => request.headers[name]).join('\n');
        const mac = crypto.createHmac('sha256', Buffer.from(SECRET, 'hex')).update(`${head}\n`).update(body).digest('hex');
        one.isSigned = mac === request.headers['x-penstock-signature'];
        one.counter = BigInt(request.headers['x-penstock-counter']);
        this.requests.push(one);
        answer(one, response);
      });
    });
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${this.server.address().port}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const readingsOf = (request) => JSON.parse(request.body).readings;

function accept(request, response, refuses = () => false) {
  const results = readingsOf(request).map((reading, index) =>
    refuses(reading) ? { index, status: 'refused', reason: 'unknown_meter' } : { index, status: 'accepted' },
  );
  const refused = results.filter((result) => result.status === 'refused').length;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ accepted: results.length - refused, refused, results }));
}

const pushConfig = (address, meters = 20) => ({
  seed: 2,
  http: address,
  gateways: [
    {
      kind: 'http',
      key: 'gw-push-1',
      secret: SECRET,
      interval_s: 1,
      batch: 7,
      registers: ['active_energy_total', 'active_power_total'],
      meters: Array.from({ length: meters }, (_, i) => ({ address: String(100000000000 + i), profile: 'flat', start_wh: 5000000 })),
    },
  ],
});

test('every sampled reading is acknowledged once, whatever the server answers', async (t) => {
  const seen = new Map();
  const server = new PushServer((request, response) => {
    const taken = () => {
      for (const r of readingsOf(request)) {
        const key = `${r.meter} ${r.register} ${r.read_at}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
    };
    switch (request.number % 6) {
      case 1:
        response.writeHead(503, { 'Retry-After': '0' }).end('{}');
        break;
      case 2:
        response.writeHead(409).end('{}');
        break;
      case 3: // journaled, but the answer is lost
        taken();
        response.destroy();
        break;
      case 4: // an answer that cannot be read
        response.end('{"accepted":');
        break;
      default:
        taken();
        accept(request, response, (reading) => reading.meter === '100000000003');
    }
  });
  const address = await server.listen();
  const truth = file('truth');
  const config = pushConfig(address, 5);
  config.gateways[0].batch = 23;
  const fleet = start(config, ['--truth', truth, '--stats', '--drain', '30']);
  t.after(async () => {
    await fleet.killNow().catch(() => {});
    server.stop();
  });
  await waitFor(() => server.requests.length > 18, { within_ms: 30_000 });
  assert.equal((await fleet.stop({ within_ms: 40_000 })).code, 0);
  assert.ok(server.requests.every((request) => request.isSigned));
  for (let i = 1; i < server.requests.length; i++) assert.ok(server.requests[i].counter > server.requests[i - 1].counter);
  const lines = truthOf(truth).filter((line) => line.event === 'acknowledged' || line.event === 'refused');
  const told = new Map();
  for (const line of lines) {
    const key = `${line.meter} ${line.register} ${Date.parse(line.at)}`;
    assert.ok(!told.has(key), `${key} is told twice`);
    told.set(key, line);
    assert.equal(line.event, line.meter === '100000000003' ? 'refused' : 'acknowledged');
  }
  assert.deepEqual([...told.keys()].sort(), [...seen.keys()].map((key) => key.replace(/ ([^ ]+)$/, (_, at) => ` ${Date.parse(at)}`)).sort());
  const last = fleet.logs.at(-1);
  assert.equal(last.pending, 0);
  assert.equal(last.sampled, last.acknowledged + last.refused);
  assert.ok(last.busy > 0 && last.conflicts > 0 && last.unanswered > 0 && last.rejected > 0);
});

test('an open loop keeps its rate while the server is slow, and tells the waiting', async (t) => {
  const server = new PushServer((request, response) => setTimeout(() => accept(request, response), 50));
  const address = await server.listen();
  const config = pushConfig(address, 100);
  config.gateways[0].batch = 500;
  const fleet = start(config, ['--stats', '--rate', '2000', '--duration', '4', '--burst', '5,1,1']);
  t.after(async () => {
    await fleet.killNow().catch(() => {});
    server.stop();
  });
  assert.equal((await fleet.exit({ within_ms: 20_000 })).code, 0);
  const last = fleet.logs.at(-1);
  assert.ok(last.sampled >= 14_000 && last.sampled <= 18_000, `${last.sampled} of 16 000`);
  assert.equal(last.acknowledged, last.sampled);
  assert.ok(last.ack_p50_us >= 50_000 && last.ack_p99_us >= last.ack_p50_us);
});

test('a duplicate push repeats the acknowledged readings under a new counter', async (t) => {
  const server = new PushServer((request, response) => accept(request, response));
  const address = await server.listen();
  const config = pushConfig(address, 3);
  config.faults = [{ fault: 'duplicate', gateway: 'gw-push-1' }];
  const fleet = start(config, ['--stats', '--duration', '2']);
  t.after(async () => {
    await fleet.killNow().catch(() => {});
    server.stop();
  });
  assert.equal((await fleet.exit({ within_ms: 20_000 })).code, 0);
  for (let i = 0; i + 1 < server.requests.length; i += 2) assert.deepEqual(server.requests[i].body, server.requests[i + 1].body);
  assert.equal(server.requests.length % 2, 0);
  const last = fleet.logs.at(-1);
  assert.equal(last.acknowledged, last.sampled);
});

// ---- obeying

const bcdTime = (at) => {
  const local = new Date(at.getTime() + 8 * 3600_000);
  return [local.getUTCSeconds(), local.getUTCMinutes(), local.getUTCHours(), local.getUTCDate(), local.getUTCMonth() + 1, local.getUTCFullYear() % 100].map((n) => parseInt(String(n), 16));
};
const command = (operation, { deadline = new Date(Date.now() + 300_000), password = [0x02, 0, 0, 0], operator = 7 } = {}) =>
  frame(ADDRESS, 0x1c, [...password, operator, 0, 0, 0, operation, 0, ...bcdTime(deadline)]);
const write = (item, value) => frame(ADDRESS, 0x14, [...id(item), 0x04, 0, 0, 0, 1, 0, 0, 0, ...value]);
const OK = `fefefefe${frame(ADDRESS, 0x9c, []).toString('hex')}`;
const NO = (error) => `fefefefe${frame(ADDRESS, 0xdc, [error]).toString('hex')}`;

test('each control command is told with its deadline and what became of it, each movement with its cause', async (t) => {
  const { master, link, control, truth, fleet } = await withDtu(t);
  const asked = [];
  const ask = async (bytes, wanted) => asked.push([(await master.ask(link, bytes, wanted.length / 2)).toString('hex'), wanted]);
  await ask(command(0x1a, { deadline: new Date(Date.now() - 60_000) }), NO(1));
  await ask(command(0x1a, { password: [0x02, 1, 1, 1] }), NO(4));
  await order(control, { do: 'fault', fault: 'ignore_command', meter: ADDRESS });
  await ask(command(0x1a), OK);
  assert.equal((await order(control, { do: 'register', meter: ADDRESS })).relay, 'closed');
  await order(control, { do: 'clear' });
  await order(control, { do: 'fault', fault: 'wrong_clock', meter: ADDRESS, value: 600_000 });
  await ask(command(0x1a), NO(1));
  await order(control, { do: 'clear' });
  await ask(command(0x3a), OK);
  await ask(command(0x1a), NO(1));
  await ask(command(0x3b), OK);
  await ask(command(0x1a, { operator: 9 }), OK);
  for (const [got, wanted] of asked) assert.equal(got, wanted);
  await order(control, { do: 'fault', fault: 'lose_answer', meter: ADDRESS });
  await assert.rejects(withDeadline(master.ask(link, command(0x1c), 16), 500, 'an answer'));
  await order(control, { do: 'clear' });
  assert.equal((await order(control, { do: 'register', meter: ADDRESS })).relay, 'closed');
  await fleet.stop();
  const told = truthOf(truth).filter((one) => one.event === 'control');
  assert.deepEqual(told.map((one) => [one.operation, one.result, one.error]), [
    ['1A', 'refused', 1], ['1A', 'refused', 4], ['1A', 'ignored', 0], ['1A', 'refused', 1], ['3A', 'done', 0], ['1A', 'refused', 1],
    ['3B', 'done', 0], ['1A', 'done', 0], ['1C', 'done', 0],
  ]);
  assert.equal(told[7].operator, 9);
  assert.ok(Math.abs(Date.parse(told[7].deadline) - Date.now() - 300_000) < 20_000);
  assert.ok(Date.parse(told[3].meter_clock) - Date.parse(told[3].at) >= 599_000);
  assert.deepEqual(truthOf(truth).filter((one) => one.event === 'relay').map((one) => [one.state, one.by]), [['open', 'command'], ['closed', 'command']]);
});

test('what a meter was told to keep, and a valve on its way, outlive the program', async (t) => {
  const master = new Master();
  const tcp = await master.listen();
  const [truth, control, state] = [file('truth'), file('ctl'), file('state')];
  const config = dtuConfig(tcp);
  config.gateways[0].meters[0].travel_ms = 2500;
  const args = ['--truth', truth, '--control', control, '--state', state];
  let fleet = start(config, args);
  t.after(async () => {
    await fleet.killNow().catch(() => {});
    master.stop();
  });
  const link = await master.link('dtu-0123456789abcdef');
  const written = `fefefefe${frame(ADDRESS, 0x94, []).toString('hex')}`;
  for (const [item, value] of [['04090B01', [0x00, 0x50, 0x03]], ['04FE0201', [0x02, 0x30, 0x22]]])
    assert.equal((await master.ask(link, write(item, value), 16)).toString('hex'), written);
  assert.equal((await master.ask(link, command(0x1a), 16)).toString('hex'), OK);
  const moving = await master.ask(link, frame(ADDRESS, 0x11, id('04000503')), 22);
  assert.ok(moving.includes(frame(ADDRESS, 0x91, [...id('04000503'), 0x40, 0x00])), 'told, not there yet');
  await fleet.killNow();
  fleet = start(config, args);
  const again = await master.link('dtu-0123456789abcdef', 1);
  await waitFor(async () => (await order(control, { do: 'register', meter: ADDRESS })).relay === 'open', { what: 'the valve', within_ms: 6000 });
  assert.ok((await master.ask(again, frame(ADDRESS, 0x11, id('04090B01')), 23)).includes(frame(ADDRESS, 0x91, [...id('04090B01'), 0x00, 0x50, 0x03])));
  assert.ok((await master.ask(again, frame(ADDRESS, 0x11, id('04FE0201')), 23)).includes(frame(ADDRESS, 0x91, [...id('04FE0201'), 0x02, 0x30, 0x22])));
});
