// penstockctl frame decode, from outside: output, messages, exit codes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { program } from '../../support/stack.mjs';
import { runProgram } from '../../support/child.mjs';

const READ = '68 12 90 78 56 34 12 68 11 04 33 33 34 33 68 16';
const ANSWER = 'FE FE 68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 54 16';
const STATUS_OPEN = '68 61 10 01 30 12 15 68 91 06 36 38 33 37 83 33 BE 16';
const TRIP = '68 61 10 01 30 12 15 68 1C 10 35 33 33 33 34 33 33 33 4D 33 33 63 54 53 44 59 BA 16';

const decode = async (...hex) => {
  const { code, stdout, stderr } = await runProgram(program('penstockctl'), ['frame', 'decode', '--protocol', 'dlt645', ...hex]);
  return { code, stderr, frames: stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line)) };
};

test('an answer becomes one JSON object', async () => {
  const { code, stderr, frames } = await decode(ANSWER);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.equal(frames.length, 1);
  const { kind, ...promised } = frames[0];
  assert.equal(kind, 'read_answer');
  assert.deepEqual(promised, {
    protocol: 'dlt645',
    address: '123456789012',
    control: '91',
    ok: true,
    data_id: '00010000',
    values: [{ name: 'active_energy_total', value: '1234.56', unit: 'kWh' }],
  });
});

test('hex may be one argument, many, unspaced, lower case', async () => {
  for (const hex of [[ANSWER], ANSWER.split(' '), [ANSWER.replaceAll(' ', '')], [ANSWER.toLowerCase()]]) {
    const { code, frames } = await decode(...hex);
    assert.equal(code, 0);
    assert.equal(frames[0].values[0].value, '1234.56');
  }
});

test('status words come with their bits', async () => {
  const { code, frames } = await decode(STATUS_OPEN);
  assert.equal(code, 0);
  assert.equal(frames[0].values[0].name, 'status_word_3');
  assert.equal(frames[0].values[0].bits.relay, 'open');
  assert.equal(frames[0].values[0].bits.relay_command, 'open');
});

test('a control command tells operation, operator and deadline, never the password', async () => {
  const { code, frames } = await decode(TRIP);
  assert.equal(code, 0);
  assert.equal(frames[0].operation, 'trip');
  assert.equal(frames[0].operator, '00000001');
  assert.equal(frames[0].deadline, '2026-11-20T21:30:00');
  assert.deepEqual([frames[0].level, frames[0].password], ['02', '******']);
});

test('a written parameter tells its value, never the password', async () => {
  const { code, frames } = await decode('68 61 10 01 30 12 15 68 14 0F 34 3E 3C 37 37 AB BA CB 34 33 33 33 33 83 36 C1 16');
  assert.equal(code, 0);
  assert.deepEqual([frames[0].kind, frames[0].level, frames[0].password, frames[0].operator], ['write', '04', '******', '00000001']);
  assert.deepEqual(frames[0].values, [{ name: 'overload_power', value: '3.5000', unit: 'kW' }]);
  assert.doesNotMatch(JSON.stringify(frames), /78 ?87 ?98|98 ?87 ?78/);
});

test('garbage between frames is skipped and told', async () => {
  const { code, stderr, frames } = await decode(READ, 'AA BB 68 CC', ANSWER);
  assert.equal(code, 0);
  assert.deepEqual(frames.map((f) => f.control), ['11', '91']);
  assert.match(stderr, /skipped 4 bytes of garbage at byte 16: AA BB 68 CC/);
});

for (const [what, hex, reason] of [
  ['a wrong checksum', '68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 55 16', /checksum/],
  ['a length above 200', '68 12 90 78 56 34 12 68 91 C9 33 33 34 33 89 67 45 33 54 16', /length/],
  ['a length that is one too short', '68 12 90 78 56 34 12 68 91 07 33 33 34 33 89 67 45 33 54 16', /length/],
  ['a digit above 9', '68 61 10 01 30 12 15 68 91 08 33 33 34 33 FE FE FE FE F7 16', /not BCD/],
  ['half a frame', '68 12 90 78 56 34 12 68 91 08 33 33 34', /truncated/],
  ['a date that cannot be', '68 61 10 01 30 12 15 68 91 10 34 33 44 36 33 48 63 4C 44 59 63 73 48 4C 44 59 E9 16', /time/],
]) {
  test(`${what} is a bad frame`, async () => {
    const { code, stderr, frames } = await decode(hex);
    assert.equal(code, 2);
    assert.match(stderr, reason);
    assert.equal(frames.length, 0);
    const among = await decode(READ, hex, '00', READ);
    assert.equal(among.code, 2);
    assert.match(among.stderr, reason === /truncated/ ? /truncated|length/ : /bad frame/);
  });
}

test('good frames around a bad one are still printed', async () => {
  const bad = '68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 55 16';
  const { code, frames } = await decode(READ, bad, ANSWER);
  assert.equal(code, 2);
  assert.deepEqual(frames.map((f) => f.control), ['11', '91']);
});

for (const [what, args, reason] of [
  ['no protocol', ['frame', 'decode', READ], /--protocol/],
  ['an unknown protocol', ['frame', 'decode', '--protocol', 'dlt646', READ], /dlt646.*known: dlt645/],
  ['no bytes', ['frame', 'decode', '--protocol', 'dlt645'], /no frame/],
  ['no frame', ['frame', 'decode', '--protocol', 'dlt645', '00 01 02'], /no frame|garbage/],
  ['no hex', ['frame', 'decode', '--protocol', 'dlt645', '68 1G'], /hexadecimal/],
  ['half a byte', ['frame', 'decode', '--protocol', 'dlt645', '68 1'], /odd number/],
]) {
  test(`${what} is refused`, async () => {
    const { code, stdout, stderr } = await runProgram(program('penstockctl'), args);
    assert.equal(code, 2);
    assert.match(stderr, reason);
    assert.equal(stdout, '');
  });
}

test('--help names the options and exits 0', async () => {
  const { code, stdout } = await runProgram(program('penstockctl'), ['frame', 'decode', '--help']);
  assert.equal(code, 0);
  assert.match(stdout, /--protocol/);
});
