// penstockctl rate, from outside: the published cases, readings, messages, exit codes.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { program } from '../../support/stack.mjs';
import { runProgram } from '../../support/child.mjs';

const TARIFF = {
  code: 'sh-residential-tou', utility: 'electricity', unit: 'kWh', currency: 'CNY', time_zone: 'Asia/Shanghai',
  effective_from: '2024-01-01T00:00:00+08:00', periods: ['peak', 'valley'],
  calendar: [{ from: '01-01', to: '12-31', days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'holiday'],
    bands: [{ from: '06:00', to: '22:00', period: 'peak' }, { from: '22:00', to: '06:00', period: 'valley' }] }],
  calendar_name: 'cn-public', flagged_days: { hot: ['2024-07-15'] },
  tiers: { over: 'year', kind: 'graduated', upper: ['3120', '4800'] },
  lines: [{ name: 'energy', kind: 'quantity', prices: { peak: ['0.617', '0.677', '0.977'], valley: ['0.307', '0.337', '0.487'] } }],
  rounding: { mode: 'half_up', scale: 2, at: 'total' },
};
const WITH_TAX = { ...TARIFF, lines: [...TARIFF.lines,
  { name: 'service', kind: 'fixed', amount: '10.00', per: 'month', prorate: 'day' },
  { name: 'VAT', kind: 'percent', rate: '0.13', of: ['energy', 'service'] }] };
const MARCH = { from: '2024-03-01T00:00:00+08:00', to: '2024-04-01T00:00:00+08:00' };

let folder;
before(async () => { folder = await mkdtemp(join(tmpdir(), 'rate-')); });
after(async () => { await rm(folder, { recursive: true }); });

const put = async (name, content) => {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

const rate = async (...args) => {
  const { code, stdout, stderr } = await runProgram(program('penstockctl'), ['rate', ...args]);
  return { code, stderr, answer: stdout ? JSON.parse(stdout) : null };
};

test('a given usage', async () => {
  const tariff = await put('T.json', TARIFF);
  const usage = await put('U.json', { ...MARCH, quantities: { peak: '180', valley: '120' }, tier_used: '0' });
  const { code, stderr, answer } = await rate('--tariff', tariff, '--usage', usage);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(answer, { currency: 'CNY', total: '147.90', quantity: '300', lines: [
    { name: 'energy', period: 'peak', tier: 1, quantity: '180', price: '0.617', amount: '111.06' },
    { name: 'energy', period: 'valley', tier: 1, quantity: '120', price: '0.307', amount: '36.84' }] });
});

test('a fixed part and a tax are quoted with it', async () => {
  const tariff = await put('T.json', WITH_TAX);
  const usage = await put('U.json', { ...MARCH, quantities: { peak: '180', valley: '120' } });
  const { answer } = await rate('--tariff', tariff, '--usage', usage);
  assert.equal(answer.total, '178.43');
  assert.deepEqual(answer.lines.slice(2), [{ name: 'service', price: '10', amount: '10.00' }, { name: 'VAT', rate: '0.13', amount: '20.527' }]);
});

test('readings over a day', async () => {
  const tariff = await put('T.json', TARIFF);
  const readings = await put('R.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,1000\n2024-03-02T00:00:00+08:00,1024\n');
  const { code, answer } = await rate('--tariff', tariff, '--readings', readings);
  assert.equal(code, 0);
  assert.equal(answer.total, '12.33');
  assert.deepEqual(answer.lines.map((line) => [line.period, line.quantity]), [['peak', '16'], ['valley', '8']]);
});

test('rounded lines add up to the total', async () => {
  const tariff = await put('T.json', { ...WITH_TAX, rounding: { mode: 'half_up', scale: 1, at: 'line' } });
  const usage = await put('U.json', { ...MARCH, quantities: { peak: '1.234', valley: '5.678' }, tier_used: '3119' });
  const { answer } = await rate('--tariff', tariff, '--usage', usage);
  const tenths = answer.lines.reduce((sum, line) => sum + Math.round(Number(line.amount) * 10), 0);
  assert.equal(tenths, Math.round(Number(answer.total) * 10));
});

test('what breaks a rule is told with file, place and reason, and ends with 2', async () => {
  const good = await put('T.json', TARIFF);
  const fixed = await put('fixed.json', WITH_TAX);
  const overlap = structuredClone(TARIFF);
  overlap.calendar[0].bands[1].to = '07:00';
  const bad = await put('bad.json', overlap);
  const usage = await put('U.json', { ...MARCH, quantities: { flat: '1' } });
  const broken = await put('broken.json', '{"from": ');
  const falling = await put('falling.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,5\n2024-03-02T00:00:00+08:00,4\n');
  const single = await put('single.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,5\n');
  const rows = [
    [['--tariff', bad, '--usage', usage], `${bad}: /calendar/0/bands/1/to: bands overlap 06:00–07:00`],
    [['--tariff', good, '--usage', usage], `${usage}: /quantities/flat: the tariff has no such period`],
    [['--tariff', good, '--usage', broken], `${broken}: line 1`],
    [['--tariff', good, '--readings', falling], `${falling}: line 3: the register went backwards`],
    [['--tariff', good, '--readings', single], `${single}: line 2: at least two readings are needed`],
    [['--tariff', fixed, '--readings', falling], `${fixed}: /lines/1/kind: lines of this kind are not rated from readings yet`],
    [['--tariff', join(folder, 'none.json'), '--usage', usage], 'none.json: No such file'],
    [['--tariff', good], '--usage and --readings'],
    [['--usage', usage], '--tariff'],
    [['--tariff', good, '--usage', usage, '--readings', falling], '--usage and --readings'],
  ];
  for (const [args, text] of rows) {
    const { code, stderr, answer } = await rate(...args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(answer, null);
    assert.ok(stderr.includes(text), `${stderr} lacks ${text}`);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  }
});
