// POST /v1/readings on a real service with real servers: who may, what is taken, what is journaled.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { get, startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import { PARTITION, Site, push, reading, sign } from './site.mjs';

let stack, site, service, gateway, meter, other;

before(async () => {
  stack = await startStack();
  site = await Site.create(stack);
  gateway = await site.addPushGateway();
  meter = await site.addMeter(gateway, '000000000001');
  other = await site.addMeter(gateway, '000000000002');
  service = await stack.spawnService('ingest');
  await service.ready();
});
after(() => stack?.stop());

const countJournal = async () => (await site.journal()).length;

test('accepted readings are in the journal, as promised bit by bit', async () => {
  const at = new Date(Date.now() - 2000);
  const answer = await push(service, gateway, {
    readings: [
      reading(meter, '1234.56', { read_at: at.toISOString() }),
      reading(meter, '1000.00', { register: 'active_energy_t1', read_at: at.toISOString() }),
      reading(other, '5', { unit: 'Wh', port: 1, channel: 1, read_at: at.toISOString() }),
      reading(other, '230.1', { register: 'voltage_a', unit: 'V' }),
    ],
  });
  assert.equal(answer.status, 200, answer.body);
  assert.equal(answer.json.accepted, 4);
  assert.equal(answer.json.refused, 0);
  assert.deepEqual(answer.json.results, [0, 1, 2, 3].map((index) => ({ index, status: 'accepted' })));
  const journal = await site.journal();
  const common = { partition: PARTITION, block: journal[0].block, at: at.getTime(), quality: 0, flags: 4, company: site.company };
  assert.deepEqual(journal, [
    { ...common, channel: meter.channel, value: 1234560, register: 0 },
    { ...common, channel: meter.channel, value: 1000000, register: 1 },
    { ...common, channel: other.channel, value: 5, register: 0 },
  ]);
});

test('the partition is rung with the ids of its blocks', async () => {
  // As hex, because a payload is bytes and no text.
  const script = `local found = redis.call('XRANGE', KEYS[1], '-', '+')
    if #found == 0 then return '' end
    return found[1][2][1] .. ' ' .. (string.gsub(found[1][2][2], '.', function (c) return string.format('%02x', string.byte(c)) end))`;
  const told = await waitFor(() => stack.redis('EVAL', script, '1', `readings:${PARTITION}`));
  const { rows } = await stack.query('select id from ingest.reading_block order by id limit 1');
  assert.equal(told, `e ${rows[0].id.toString(16).padStart(16, '0')}`);
});

test('last values are kept per channel', async () => {
  await waitFor(async () => (await stack.value('select count(*) from ingest.last_value')) >= 4n);
  const { rows } = await stack.query('select register, value from ingest.last_value where channel_num = $1 order by register', [meter.channel]);
  assert.deepEqual(rows.map((r) => [Number(r.register), Number(r.value)]), [[0, 1234560], [1, 1000000]]);
  const volts = await stack.value('select value from ingest.last_value where channel_num = $1 and register = 10', [other.channel]);
  assert.equal(Number(volts), 230100);
});

test('reactive energy and maximum demand travel with the counters, other measured values do not', async () => {
  const before = await countJournal();
  const at = new Date(Date.now() - 1000).toISOString();
  const rows = [['reactive_energy_total', '12.34', 'kvarh'], ['max_demand', '9.2504', 'kW'], ['active_power_total', '3.1', 'kW']];
  const answer = await push(service, gateway, { readings: rows.map(([register, value, unit]) => reading(other, value, { register, unit, read_at: at })) });
  assert.equal(answer.json.accepted, 3, answer.body);
  const journal = (await site.journal()).slice(before);
  assert.deepEqual(journal.map((r) => [r.register, r.value]), [[7, 12340], [8, 9250400]]);
});

test('each refused reading is answered and stored with its reason, the others are taken', async () => {
  const rows = [
    [reading({ address: '999999999999' }, '1'), 'unknown_meter', '/readings/0/meter'],
    [reading(meter, '1', { port: 2 }), 'unknown_meter', '/readings/1/meter'],
    [reading(meter, '1', { channel: 2 }), 'unknown_channel', '/readings/2/channel'],
    [reading(meter, '1', { register: 'active_energy' }), 'unknown_register', '/readings/3/register'],
    [reading(meter, '1', { unit: 'MWh' }), 'wrong_unit', '/readings/4/unit'],
    [reading(meter, '1.2345'), 'bad_value', '/readings/5/value'],
    [reading(meter, 'NaN'), 'bad_value', '/readings/6/value'],
    [reading(meter, '-1'), 'bad_value', '/readings/7/value'],
    [reading(meter, 1.5), 'malformed', '/readings/8/value'],
    [reading(meter, '1', { read_at: '2026-13-01T00:00:00Z' }), 'bad_time', '/readings/9/read_at'],
    [reading(meter, '1', { read_at: '2026-01-01T00:00:60Z' }), 'bad_time', '/readings/10/read_at'],
    [reading(meter, '1', { chanel: 2 }), 'malformed', '/readings/11/chanel'],
    [{ meter: meter.address }, 'malformed', '/readings/12'],
    [reading(meter, '1', { channel: 0 }), 'malformed', '/readings/13/channel'],
    ['text', 'malformed', '/readings/14'],
    [reading(meter, '１２'), 'bad_value', '/readings/15/value'],
  ];
  const before = await countJournal();
  const answer = await push(service, gateway, { readings: [...rows.map(([r]) => r), reading(meter, '1235.00')] });
  assert.equal(answer.status, 200, answer.body);
  assert.equal(answer.json.refused, rows.length);
  assert.equal(answer.json.accepted, 1);
  rows.forEach(([, reason, place], index) => {
    const result = answer.json.results[index];
    assert.equal(result.status, 'refused', `row ${index}`);
    assert.equal(result.reason, reason, `row ${index}: ${result.detail}`);
    assert.ok(result.detail.startsWith(place), `row ${index}: ${result.detail}`);
  });
  assert.deepEqual(answer.json.results.at(-1), { index: rows.length, status: 'accepted' });
  assert.equal(await countJournal(), before + 1);
  const stored = await stack.query('select reason, place from ingest.refused_reading where gateway_num = $1 order by id', [gateway.num]);
  assert.deepEqual(stored.rows.map((r) => r.reason), rows.map(([, reason]) => reason));
});

test('gzip is inflated, within a bound', async () => {
  const good = await push(service, gateway, { readings: [reading(meter, '1236')] }, { gzip: true });
  assert.equal(good.status, 200, good.body);
  const bomb = await push(service, gateway, ' '.repeat(8 * 1024 * 1024), { gzip: true });
  assert.equal(bomb.status, 413);
  assert.match(bomb.headers['content-type'], /application\/problem\+json/);
  const broken = await push(service, gateway, 'no gzip at all', { headers: { 'content-encoding': 'gzip' } });
  assert.equal(broken.status, 400);
  const foreign = await push(service, gateway, '{}', { headers: { 'content-encoding': 'br' } });
  assert.equal(foreign.status, 415);
});

test('a sender who cannot be established gets 401', async () => {
  const body = { readings: [reading(meter, '1')] };
  const now = Math.floor(Date.now() / 1000);
  const before = await countJournal();
  for (const [what, options] of [
    ['a wrong signature', { headers: { 'x-penstock-signature': '0'.repeat(64) } }],
    ['no hex', { headers: { 'x-penstock-signature': 'zz' } }],
    ['an unknown key', { headers: { 'x-penstock-key': 'gw-nobody' } }],
    ['another key', { headers: { 'x-penstock-key': '' } }],
    ['an old timestamp', { timestamp: now - 301 }],
    ['a timestamp ahead', { timestamp: now + 302 }],
    ['no number', { timestamp: 'soon' }],
    ['another counter than signed', { headers: { 'x-penstock-counter': '77' } }],
  ]) {
    const answer = await push(service, gateway, body, options);
    assert.equal(answer.status, 401, what);
    assert.equal(answer.json.type, 'urn:penstock:problem:unauthentic', what);
  }
  const bytes = Buffer.from(JSON.stringify(body));
  const mark = ++gateway.counter;
  const changed = await get(`http://127.0.0.1:${service.ports.http}/v1/readings`, {
    method: 'POST',
    body: Buffer.concat([bytes, Buffer.from(' ')]),
    headers: {
      'content-length': bytes.length + 1,
      'x-penstock-key': gateway.key,
      'x-penstock-timestamp': now,
      'x-penstock-counter': mark,
      'x-penstock-signature': sign(gateway, now, mark, bytes),
    },
  });
  assert.equal(changed.status, 401);
  assert.equal(await countJournal(), before);
});

test('a disabled gateway is nobody, and an enabled one is again', async () => {
  await stack.query('update core.gateway set disabled_at = now() where num = $1', [gateway.num]);
  await waitFor(async () => (await push(service, gateway, { readings: [] })).status === 401, { within_ms: 5000 });
  await stack.query('update core.gateway set disabled_at = null where num = $1', [gateway.num]);
  await waitFor(async () => (await push(service, gateway, { readings: [] })).status === 200, { within_ms: 5000 });
});

test('a counter that did not rise gets 409 and leaves nothing', async () => {
  assert.equal((await push(service, gateway, { readings: [reading(meter, '1240')] })).status, 200);
  const before = await countJournal();
  for (const counter of [gateway.counter, gateway.counter - 1, 1]) {
    const answer = await push(service, gateway, { readings: [reading(meter, '1241')] }, { counter });
    assert.equal(answer.status, 409);
    assert.equal(answer.json.type, 'urn:penstock:problem:counter-not-raised');
  }
  assert.equal((await push(service, gateway, { readings: [] }, { counter: 'abc' })).status, 400);
  assert.equal((await push(service, gateway, { readings: [] }, { counter: '18446744073709551615' })).status, 400);
  assert.equal(await countJournal(), before);
  assert.equal((await push(service, gateway, { readings: [reading(meter, '1241')] })).status, 200);
  assert.equal(await countJournal(), before + 1);
  assert.equal(await stack.value('select counter from ingest.gateway_counter where gateway_num = $1', [gateway.num]), BigInt(gateway.counter));
});

test('of many at once with one counter exactly one is taken', async () => {
  const counter = ++gateway.counter;
  const before = await countJournal();
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => push(service, gateway, { readings: [reading(meter, `13${10 + i}`)] }, { counter })),
  );
  assert.deepEqual(answers.map((a) => a.status).sort(), [200, ...Array(11).fill(409)]);
  assert.equal(await countJournal(), before + 1);
  const risen = await Promise.all(
    Array.from({ length: 12 }, (_, i) => push(service, gateway, { readings: [reading(meter, `14${10 + i}`)] })),
  );
  const taken = risen.filter((a) => a.status === 200).length;
  assert.ok(taken >= 1);
  assert.ok(risen.every((a) => a.status === 200 || a.status === 409));
  assert.equal(await countJournal(), before + 1 + taken);
});

test('bodies that cannot be read are refused whole', async () => {
  for (const [what, body, status] of [
    ['no JSON', '{"readings":[', 400],
    ['a duplicate key', '{"readings":[],"readings":[]}', 400],
    ['no object', '[]', 422],
    ['no readings', '{}', 422],
    ['something more', '{"readings":[],"more":1}', 422],
    ['no array', '{"readings":{}}', 422],
    ['too deep', `{"readings":[{"meter":${'['.repeat(40)}${']'.repeat(40)}}]}`, 413],
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400],
    ['too many', { readings: Array.from({ length: 5001 }, () => ({})) }, 413],
    ['too long', Buffer.alloc(2 * 1024 * 1024 + 1, 0x20), 413],
  ]) {
    const answer = await push(service, gateway, body);
    assert.equal(answer.status, status, `${what}: ${answer.body}`);
    assert.match(answer.headers['content-type'], /application\/problem\+json/, what);
  }
});

test('five thousand readings fit one request, and no poll is torn between blocks', async () => {
  const before = (await site.journal()).length;
  const base = Date.now() - 200 * 86_400;
  const registers = ['active_energy_t2', 'active_energy_total', 'active_energy_t1', 'active_energy_t4', 'active_energy_t3'];
  const readings = [];
  for (let i = 0; i < 1000; i++)
    for (const register of registers)
      readings.push(reading(meter, String(2000 + i), { register, read_at: new Date(base + i * 1000).toISOString() }));
  const answer = await push(service, gateway, { readings }, { gzip: true });
  assert.equal(answer.status, 200, answer.body.slice(0, 300));
  assert.equal(answer.json.accepted, 5000);
  const added = (await site.journal()).slice(before);
  assert.equal(added.length, 5000);
  const blocks = new Map();
  for (const record of added) blocks.set(record.block, [...(blocks.get(record.block) ?? []), record]);
  for (const records of blocks.values()) {
    assert.ok(records.length <= 240 && records.length % 5 === 0, `${records.length} records`);
    for (let i = 0; i < records.length; i += 5) {
      assert.deepEqual(records.slice(i, i + 5).map((r) => r.register), [0, 1, 2, 3, 4]);
      assert.equal(new Set(records.slice(i, i + 5).map((r) => r.at)).size, 1);
    }
  }
});

test('a wrong clock is booked at receipt, an old time is history', async () => {
  const hour = 3_600_000;
  const now = Date.now();
  const rows = [
    [now + 20 * 60_000, 'receipt', 4 | 1 | 32],
    [now + 60_000, 'own', 4],
    [now - 60_000, 'own', 4],
    [now - 2 * hour, 'own', 4 | 2],
    [now - 34 * 24 * hour, 'own', 4 | 2],
    [now - 36 * 24 * hour, 'receipt', 4 | 1 | 32],
    [Date.parse('2000-01-01T00:00:00Z'), 'receipt', 4 | 1 | 32],
  ];
  for (const [at, where, flags] of rows) {
    const answer = await push(service, gateway, { readings: [reading(other, '7', { read_at: new Date(at).toISOString() })] });
    assert.equal(answer.json.accepted, 1);
    const last = (await site.journal()).at(-1);
    assert.equal(last.flags, flags, new Date(at).toISOString());
    if (where === 'own') assert.equal(last.at, at);
    else assert.ok(Math.abs(last.at - Date.now()) < 60_000);
  }
});

test('a meter added later is known within seconds, a removed one no longer', async () => {
  const late = await site.addMeter(gateway, '000000000099');
  const accepted = async () => (await push(service, gateway, { readings: [reading(late, '1')] })).json.accepted === 1;
  await waitFor(accepted, { within_ms: 5000, every_ms: 100 });
  await stack.query('update core.meter set removed_at = now() where num = $1', [late.num]);
  await waitFor(async () => !(await accepted()), { within_ms: 5000, every_ms: 100 });
});

test('what another company owns is unknown here', async () => {
  const foreign = await Site.create(stack, { code: 'other' });
  const theirs = await foreign.addPushGateway();
  const theirMeter = await foreign.addMeter(theirs, '000000000055');
  await waitFor(async () => (await push(service, theirs, { readings: [reading(theirMeter, '1')] })).status === 200, { within_ms: 5000 });
  const stolen = await push(service, gateway, { readings: [reading(theirMeter, '2')] });
  assert.equal(stolen.json.results[0].reason, 'unknown_meter');
  const forged = await push(service, { ...theirs, secret: gateway.secret }, { readings: [reading(theirMeter, '2')] });
  assert.equal(forged.status, 401);
});

test('the counters of the metrics page agree', async () => {
  const text = (await get(`http://127.0.0.1:${service.ports.admin}/metrics`)).body;
  const journaled = Number(/^penstock_ingest_readings_journaled_total (\d+)/m.exec(text)[1]);
  assert.equal(journaled, await countJournal());
});
