// Transparent links on a real service: log-in and its defence, the bus, what reaches the journal, silence.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Dtu, MeterOnLine, PARTITION, Site, frame } from './site.mjs';

const COUNTS = [123456, 100, 200, 300, 122856];
const WH = COUNTS.map((count) => count * 10);

let stack, site, service;
const links = [];

before(async () => {
  stack = await startStack();
  site = await Site.create(stack, { pollSeconds: 5 });
  service = await stack.spawnService('ingest', { PENSTOCK_INGEST_SILENCE_SLACK_S: '8' }); // three unanswered tries hold the bus longer than two intervals
  await service.ready();
});
after(async () => {
  for (const link of links) link.end();
  await stack?.stop();
});

let nextAddress = 100000000000;

// A gateway with its meters, known to the service.
async function install({ count = 1, dtu = {}, meter = {} } = {}) {
  const gateway = await site.addDtu(dtu);
  const meters = [];
  for (let i = 0; i < count; i++)
    meters.push(await site.addMeter(gateway, String(nextAddress++), { protocol: 'dlt645_2007', ...meter }));
  return { gateway, meters };
}

async function link(gateway, meters, options) {
  const made = new Dtu(service, gateway, meters, options);
  links.push(made);
  return made.connect();
}

// The service learns of new gateways within a moment: a refused log-in is repeated.
async function linkUp(gateway, meters, options) {
  let made;
  await waitFor(async () => {
    made = await link(gateway, meters, options);
    await sleep(300);
    if (!made.isClosed) return true;
    return false;
  }, { within_ms: 8000, every_ms: 200, what: 'the link' });
  return made;
}

const journalOf = async (meter) => (await site.journal()).filter((r) => r.channel === meter.channel);
const openSession = (gateway) =>
  stack.value('select epoch from ingest.gateway_session where gateway_num = $1 and closed_at is null', [gateway.num]);

test('a registered link is polled, and its poll is journaled whole', async () => {
  const { gateway, meters } = await install();
  const line = new MeterOnLine(meters[0].address, COUNTS);
  await linkUp(gateway, [line]);
  const records = await waitFor(async () => {
    const found = await journalOf(meters[0]);
    return found.length >= 5 && found;
  }, { within_ms: 10_000 });
  assert.deepEqual(records.slice(0, 5).map((r) => [r.register, r.value]), WH.map((wh, i) => [i, wh]));
  assert.equal(new Set(records.slice(0, 5).map((r) => `${r.at} ${r.block}`)).size, 1);
  assert.equal(records[0].partition, PARTITION);
  assert.equal(records[0].flags, 0);
  assert.ok(Math.abs(records[0].at - Date.now()) < 15_000);
  assert.equal(line.asked[0], 0x04000402, 'the meter number comes first');
  assert.equal(await openSession(gateway), 1n);
  await waitFor(async () => (await stack.value('select value from ingest.last_value where channel_num = $1 and register = 10', [meters[0].channel])) === 230100n);
  assert.equal(await stack.value('select value from ingest.last_value where channel_num = $1 and register = 23', [meters[0].channel]), 0n);
});

for (const [what, eol] of [['LF', '\n'], ['CRLF', '\r\n'], ['silence', '']])
  test(`a registration may end with ${what}`, async () => {
    const { gateway, meters } = await install();
    await linkUp(gateway, [new MeterOnLine(meters[0].address, COUNTS)], { eol });
    await waitFor(() => openSession(gateway), { within_ms: 5000 });
  });

for (const [what, bytes] of [
  ['an unknown registration', 'aaaaaaaaaaaaaaaaaaaaaaaa\n'],
  ['no text', Buffer.from([0x68, 0x01, 0x02])],
  ['a line without end', 'x'.repeat(200)],
  ['an empty registration and then nonsense', '\r\n\r\nnobody\n'],
])
  test(`${what} does not get in`, async () => {
    const socket = net.connect(service.ports.tcp, '127.0.0.1');
    let isClosed = false;
    socket.on('error', () => {});
    socket.on('close', () => (isClosed = true));
    socket.resume();
    socket.write(bytes);
    await waitFor(() => isClosed, { within_ms: 3000 });
  });

test('who says nothing is cut off after ten seconds', async () => {
  const socket = net.connect(service.ports.tcp, '127.0.0.1');
  let closedAt;
  const started = Date.now();
  socket.on('error', () => {});
  socket.on('close', () => (closedAt = Date.now()));
  socket.resume();
  await waitFor(() => closedAt, { within_ms: 15_000 });
  assert.ok(closedAt - started > 8_000, `${closedAt - started} ms`);
});

test('a serial is taken from its own networks only', async () => {
  const near = await install({ dtu: { sources: ['10.0.0.0/8', '127.0.0.0/30'] } });
  const far = await install({ dtu: { sources: ['10.0.0.0/8'] } });
  await linkUp(near.gateway, [new MeterOnLine(near.meters[0].address, COUNTS)]);
  await (await link(far.gateway, [])).closed();
  assert.equal(await openSession(far.gateway), undefined);
});

test('a newcomer never displaces a link that is alive; a dead one is replaced', async () => {
  const { gateway, meters } = await install({ dtu: { heartbeat: 5 } });
  const first = await linkUp(gateway, [new MeterOnLine(meters[0].address, COUNTS)]);
  await waitFor(() => openSession(gateway));
  const second = await link(gateway, []);
  await second.closed();
  assert.equal(first.isClosed, false);
  await waitFor(async () => (await stack.value("select count(*) from ingest.device_event where kind = 'gateway_conflict' and gateway_num = $1", [gateway.num])) >= 1n);
  first.meters[0].silent = true;
  await sleep(6000);
  const third = await link(gateway, []);
  await first.closed();
  await sleep(300);
  assert.equal(third.isClosed, false);
  assert.equal(await openSession(gateway), 2n);
});

test('one request is in flight at a time, also with many meters', async () => {
  const { gateway, meters } = await install({ count: 20 });
  let open = 0;
  let most = 0;
  await linkUp(gateway, meters.map((m) => new MeterOnLine(m.address, COUNTS)), {
    alter: (answer, request, dtu) => {
      open++;
      most = Math.max(most, open);
      setTimeout(() => {
        open--;
        dtu.socket.write(answer);
      }, 5);
      return [];
    },
  });
  await waitFor(async () => {
    const seen = new Map();
    for (const record of await site.journal()) seen.set(record.channel, (seen.get(record.channel) ?? 0) + 1);
    return meters.every((m) => seen.get(m.channel) >= 5);
  }, { within_ms: 20_000, every_ms: 200 });
  assert.equal(most, 1);
});

test('an answer may come in any pieces, behind garbage, an echo and a preamble', async () => {
  const { gateway, meters } = await install();
  await linkUp(gateway, [new MeterOnLine(meters[0].address, COUNTS)], {
    alter: (answer, request) => [
      Buffer.from([0x00, 0x68, 0x11]),
      request,
      Buffer.from('penstock-alive\r\n'),
      Buffer.from([0xfe, 0xfe, 0xfe, 0xfe]),
      ...[...answer].map((byte) => Buffer.from([byte])),
    ],
  });
  await waitFor(async () => (await journalOf(meters[0])).length >= 5, { within_ms: 10_000 });
});

test('answers of others, late ones and wrong items are not taken for the answer', async () => {
  const { gateway, meters } = await install({ count: 2 });
  const wrong = [999999, 0, 0, 0, 999999];
  const bcd = (n) => Buffer.from(String(n).padStart(8, '0'), 'hex').reverse();
  const energy = (counts) => Buffer.concat([Buffer.from([0x00, 0xff, 0x01, 0x00]), ...counts.map(bcd)]);
  await linkUp(gateway, meters.map((m) => new MeterOnLine(m.address, COUNTS)), {
    alter: (answer) => [
      frame('999999999999', 0x91, energy(wrong)), // another address
      frame('aaaaaaaaaaaa', 0x91, energy(wrong)), // the wildcard
      Buffer.concat([frame(meters[0].address, 0x91, Buffer.concat([Buffer.from([0x00, 0x00, 0x02, 0x00]), bcd(999999)]))]), // another item
      frame(meters[0].address, 0x94, Buffer.alloc(0)), // another function
      answer,
    ],
  });
  await waitFor(async () => (await journalOf(meters[0])).length >= 5 && (await journalOf(meters[1])).length >= 5, { within_ms: 20_000, every_ms: 200 });
  for (const meter of meters)
    for (const record of await journalOf(meter)) assert.equal(record.value, WH[record.register]);
  assert.ok((await service.metric('penstock_ingest_bus_mismatches_total')) > 0);
});

test('a lost answer is asked for again, a damaged one too', async () => {
  const { gateway, meters } = await install();
  let count = 0;
  await linkUp(gateway, [new MeterOnLine(meters[0].address, COUNTS)], {
    alter: (answer) => {
      count++;
      if (count === 1) return [];
      if (count === 2) {
        const damaged = Buffer.from(answer);
        damaged[damaged.length - 2] ^= 0x55;
        return [damaged];
      }
      return [answer];
    },
  });
  await waitFor(async () => (await journalOf(meters[0])).length >= 5, { within_ms: 20_000, every_ms: 100 });
});

test('what is not BCD is refused with its bytes, never journaled', async () => {
  const { gateway, meters } = await install();
  const line = new MeterOnLine(meters[0].address, COUNTS);
  line.answer = (id) => {
    const item = id.readUInt32LE(0);
    if (item === 0x04000402) return Buffer.concat([id, Buffer.from(meters[0].address, 'hex').reverse()]);
    return item === 0x0001ff00 ? Buffer.concat([id, Buffer.from([0x1a, 0, 0, 0])]) : null;
  };
  await linkUp(gateway, [line]);
  const stored = await waitFor(async () => {
    const { rows } = await stack.query('select reason, place, raw from ingest.refused_reading where gateway_num = $1', [gateway.num]);
    return rows.length > 0 && rows[0];
  }, { within_ms: 10_000 });
  assert.equal(stored.reason, 'not_bcd');
  assert.match(stored.place, new RegExp(`${meters[0].address}.*0001FF00`));
  assert.equal(stored.raw.toString('hex'), '00ff01001a000000');
  assert.equal((await journalOf(meters[0])).length, 0);
});

test('a meter without the energy block is read by its total', async () => {
  const { gateway, meters } = await install();
  const line = new MeterOnLine(meters[0].address, COUNTS);
  line.answer = (id) => (id.readUInt32LE(0) === 0x00010000 ? Buffer.concat([id, Buffer.from('563412', 'hex'), Buffer.from([0])]) : null);
  await linkUp(gateway, [line]);
  const records = await waitFor(async () => {
    const found = await journalOf(meters[0]);
    return found.length > 0 && found;
  }, { within_ms: 10_000 });
  assert.deepEqual([records[0].register, records[0].value], [0, 1234560]);
});

test('a meter with another number than the installed one is not read', async () => {
  const { gateway, meters } = await install({ count: 2 });
  const wrong = new MeterOnLine(meters[0].address, COUNTS, { number: '555555555555' });
  await linkUp(gateway, [wrong, new MeterOnLine(meters[1].address, COUNTS)]);
  await waitFor(async () => (await journalOf(meters[1])).length >= 10, { within_ms: 20_000, every_ms: 200 });
  assert.equal((await journalOf(meters[0])).length, 0);
  const detail = await stack.value("select detail from ingest.device_event where kind = 'meter_number_mismatch' and meter_num = $1", [meters[0].num]);
  assert.equal(detail.answered, '555555555555');
  assert.equal(await stack.value("select count(*) from ingest.device_event where kind = 'meter_number_mismatch' and meter_num = $1", [meters[0].num]), 1n);
  wrong.number = meters[0].address;
  await waitFor(async () => (await journalOf(meters[0])).length >= 5, { within_ms: 15_000, every_ms: 200 });
});

test('a changed rhythm and a new meter take effect on a living link', async () => {
  const { gateway, meters } = await install();
  await stack.query('update core.meter set poll_interval_s = 3600 where num = $1', [meters[0].num]);
  const lines = [new MeterOnLine(meters[0].address, COUNTS)];
  await linkUp(gateway, lines);
  const late = await site.addMeter(gateway, String(nextAddress++), { protocol: 'dlt645_2007' });
  lines.push(new MeterOnLine(late.address, COUNTS));
  await waitFor(async () => (await journalOf(late)).length >= 10, { within_ms: 20_000, every_ms: 200 });
});

// ---- commands ----

async function requestRead(gateway, meter) {
  const id = randomUUID();
  await stack.query(
    `insert into api.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
     values ($1, $2, 'read-requests', 'read_requested', $3, 1, $4, now())`,
    [id, site.company, meter.num, { gateway: Number(gateway.num), meter: Number(meter.num), channel: Number(meter.channel), requested_by: 'test' }],
  );
  await stack.redis('XADD', 'read-requests', '*', 'e', id);
  return waitFor(async () => {
    const { rows } = await stack.query("select type, payload from ingest.outbox where stream = 'command-results' and payload->>'command' = $1", [id]);
    return rows.length > 0 && rows[0];
  }, { within_ms: 45_000, what: 'the result of the read' }); // behind the check of a silent meter's number: two rounds of time-outs
}

test('an on-demand read goes ahead of the queue and is answered once it is journaled', async () => {
  const { gateway, meters } = await install({ count: 3 });
  await stack.query('update core.meter set poll_interval_s = 3600 where gateway_num = $1', [gateway.num]);
  await linkUp(gateway, meters.map((m) => new MeterOnLine(m.address, COUNTS)));
  await waitFor(() => openSession(gateway));
  const result = await requestRead(gateway, meters[2]);
  assert.equal(result.type, 'read_done', JSON.stringify(result.payload));
  const records = (await journalOf(meters[2])).filter((r) => r.flags & 8);
  assert.equal(records.length, 5);
  assert.equal(Date.parse(result.payload.at), records[0].at);
});

test('a read that cannot be done says why', async () => {
  const offline = await install();
  await sleep(1500);
  assert.equal((await requestRead(offline.gateway, offline.meters[0])).payload.reason, 'gateway_offline');
  const silent = await install();
  const line = new MeterOnLine(silent.meters[0].address, COUNTS, { silent: true });
  await linkUp(silent.gateway, [line]);
  await waitFor(() => openSession(silent.gateway));
  assert.equal((await requestRead(silent.gateway, silent.meters[0])).payload.reason, 'timeout');
  const pushing = await site.addPushGateway();
  const pushed = await site.addMeter(pushing, String(nextAddress++));
  await sleep(1500);
  assert.equal((await requestRead(pushing, pushed)).payload.reason, 'no_downlink');
});

// ---- silence ----

test('a gateway that goes silent is lost since it was last heard, and comes back', async () => {
  const { gateway, meters } = await install({ dtu: { heartbeat: 5 } });
  const made = await linkUp(gateway, [new MeterOnLine(meters[0].address, COUNTS)]);
  await waitFor(async () => (await stack.value('select last_seen_at from ingest.gateway_contact where gateway_num = $1', [gateway.num])) != null, { within_ms: 5000 });
  made.end();
  await waitFor(async () => (await openSession(gateway)) === undefined, { within_ms: 5000 });
  const event = await waitFor(async () => {
    const { rows } = await stack.query("select payload from ingest.outbox where type = 'gateway_lost' and subject_num = $1", [gateway.num]);
    return rows.length > 0 && rows[0].payload;
  }, { within_ms: 40_000, every_ms: 250 });
  const contact = (await stack.query('select last_seen_at, lost_since from ingest.gateway_contact where gateway_num = $1', [gateway.num])).rows[0];
  assert.equal(contact.lost_since.getTime(), contact.last_seen_at.getTime());
  assert.equal(Date.parse(event.since), contact.lost_since.getTime());
  await linkUp(gateway, [new MeterOnLine(meters[0].address, COUNTS)]);
  await waitFor(async () => (await stack.value("select count(*) from ingest.outbox where type = 'gateway_back' and subject_num = $1", [gateway.num])) === 1n, { within_ms: 10_000 });
  assert.equal(await stack.value('select lost_since from ingest.gateway_contact where gateway_num = $1', [gateway.num]), null);
});

test('a meter that does not answer on a living link is lost alone, and comes back', async () => {
  const { gateway, meters } = await install({ count: 2 });
  const lines = meters.map((m) => new MeterOnLine(m.address, COUNTS));
  await linkUp(gateway, lines);
  await waitFor(async () => (await journalOf(meters[0])).length > 0 && (await journalOf(meters[1])).length > 0, { within_ms: 15_000, every_ms: 200 });
  lines[0].silent = true;
  const event = await waitFor(async () => {
    const { rows } = await stack.query("select company_id, payload from ingest.outbox where type = 'meter_lost' and subject_num = $1", [meters[0].num]);
    return rows.length > 0 && rows[0];
  }, { within_ms: 60_000, every_ms: 250 });
  assert.equal(event.company_id, site.company);
  assert.deepEqual({ ...event.payload, since: 0 }, { meter: Number(meters[0].num), gateway: Number(gateway.num), property: Number(site.property), since: 0 });
  const contact = (await stack.query('select last_seen_at, lost_since from ingest.meter_contact where meter_num = $1', [meters[0].num])).rows[0];
  assert.equal(Date.parse(event.payload.since), contact.lost_since.getTime());
  assert.equal(contact.lost_since.getTime(), contact.last_seen_at.getTime());
  assert.ok(Date.now() - contact.lost_since.getTime() > 10_000);
  assert.equal(await stack.value('select lost_since from ingest.meter_contact where meter_num = $1', [meters[1].num]), null);
  lines[0].silent = false;
  await waitFor(async () => (await stack.value("select count(*) from ingest.outbox where type = 'meter_back' and subject_num = $1", [meters[0].num])) === 1n, { within_ms: 20_000, every_ms: 200 });
  await waitFor(async () => (await stack.value('select lost_since from ingest.meter_contact where meter_num = $1', [meters[0].num])) === null);
  assert.equal(await stack.value("select count(*) from ingest.outbox where type = 'meter_lost' and subject_num = $1", [meters[0].num]), 1n);
});
