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
const ONE_PRICE = { code: 'one', utility: 'electricity', unit: 'kWh', currency: 'CNY', time_zone: 'Asia/Shanghai',
  effective_from: '2024-01-01T00:00:00+08:00', lines: [{ name: 'energy', kind: 'quantity', prices: { '*': '1' } }],
  rounding: { mode: 'half_up', scale: 2, at: 'total' } };
const INDEXED = { ...ONE_PRICE, lines: [{ name: 'energy', kind: 'quantity', prices: { '*': { index: 'gd', times: '1.7', plus: '0.05' } } }] };
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

// T25 and T29.
const TAXED = { ...ONE_PRICE, tiers: { over: 'month', kind: 'graduated', upper: ['350'] },
  lines: [{ name: 'energy', kind: 'quantity', prices: { '*': ['1.9028', '2.1562'] } }, { name: 'VAT', kind: 'percent', rate: '0.15', of: ['energy'] }] };

test('what money buys', async () => {
  const tariff = await put('T.json', TAXED);
  const { code, answer } = await rate('--tariff', tariff, '--amount', '500');
  assert.equal(code, 0);
  assert.deepEqual(answer, { currency: 'CNY', amount: '500', total: '499.79', quantity: '228.4', lines: [
    { name: 'energy', period: '*', tier: 1, quantity: '228.4', price: '1.9028', amount: '434.59952' },
    { name: 'VAT', rate: '0.15', amount: '65.189928' }] });
  // In the middle of a month in which 300 were used: 50 at 1.9028, 154.5 at 2.1562, taxed.
  const usage = await put('U.json', { ...MARCH, quantities: {}, tier_used: '300' });
  assert.equal((await rate('--tariff', tariff, '--amount', '492.51', '--usage', usage)).answer.quantity, '204.5');
  assert.equal((await rate('--tariff', tariff, '--amount', '492.50', '--usage', usage)).answer.quantity, '204.4');
  // A mix of three to two, with the fixed part first.
  const mixed = await put('M.json', { ...MARCH, quantities: { peak: '180', valley: '120' } });
  const { answer: bought } = await rate('--tariff', await put('W.json', WITH_TAX), '--amount', '178.43', '--usage', mixed);
  assert.equal(bought.quantity, '300');
});

test('prices by index, each month its own', async () => {
  const tariff = await put('T.json', INDEXED);
  const index = await put('I.csv', 'index,month,value,provisional\ngd,2024-03,0.6,false\ngd,2024-04,0.7,true\n');
  const usage = await put('U.json', { ...MARCH, quantities: { flat: '100' } });
  const { answer } = await rate('--tariff', tariff, '--usage', usage, '--index', index);
  assert.equal(answer.total, '107.00');
  assert.equal(answer.provisional, false);
  const readings = await put('R.csv', 'read_at,value\n2024-03-31T00:00:00+08:00,0\n2024-04-02T00:00:00+08:00,200\n');
  const { answer: crossing } = await rate('--tariff', tariff, '--readings', readings, '--index', index);
  assert.equal(crossing.total, '231.00');
  assert.equal(crossing.provisional, true);
  assert.deepEqual(crossing.lines.map(({ quantity, price, amount }) => [quantity, price, amount]), [['100', '1.07', '107.00'], ['100', '1.24', '124.00']]);
  assert.deepEqual(crossing.indices[1], { index: 'gd', month: '2024-04', value: '0.7', provisional: true });
});

test('fixed lines and minimums from readings', async () => {
  const tariff = await put('T.json', { ...ONE_PRICE, lines: [...ONE_PRICE.lines, { name: 'fee', kind: 'fixed', amount: '10', per: 'month' },
    { name: 'least', kind: 'minimum', amount: '50', of: ['energy'] }] });
  const readings = await put('R.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,0\n2024-03-20T00:00:00+08:00,30\n2024-04-02T00:00:00+08:00,43\n');
  const { answer } = await rate('--tariff', tariff, '--readings', readings);
  // 42 and 8 missing in March, one in April; two months
  assert.equal(answer.total, '71.00');
  assert.deepEqual(answer.lines.map(({ name, amount }) => [name, amount]), [['energy', '43.00'], ['fee', '20.00'], ['least', '8.00']]);
});

test('the arithmetic as text, in both languages', async () => {
  const tariff = await put('T.json', TAXED);
  const { stdout: english } = await runProgram(program('penstockctl'), ['rate', '--tariff', tariff, '--amount', '500', '--explain']);
  assert.deepEqual(english.trimEnd().split('\n'), [
    'energy, tier 1: 228.4 kWh at 1.9028 CNY make 434.59952 CNY.', 'VAT: 15 % make 65.189928 CNY.',
    'Together 499.789448 CNY, rounded (half up, 2 decimals): 499.79 CNY.', '500.00 CNY buy 228.4 kWh, which cost 499.79 CNY.']);
  const readings = await put('R.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,0\n2024-03-02T00:00:00+08:00,351\n');
  const { stdout: chinese } = await runProgram(program('penstockctl'), ['rate', '--tariff', tariff, '--readings', readings, '--explain', '--lang', 'zh']);
  assert.deepEqual(chinese.trimEnd().split('\n'), [
    '示数由 2024-03-01 00:00:00 的 0 kWh 变为 2024-03-02 00:00:00 的 351 kWh，用量 351 kWh。',
    '2024-03-01 00:00:00 至 2024-03-02 00:00:00：350 kWh，第 1 阶梯。', '2024-03-01 00:00:00 至 2024-03-02 00:00:00：1 kWh，第 2 阶梯。',
    'energy（第 1 阶梯）：350 kWh × 1.9028 CNY = 665.98 CNY。', 'energy（第 2 阶梯）：1 kWh × 2.1562 CNY = 2.1562 CNY。',
    'VAT：15% = 100.22043 CNY。', '自 2024-03-01 00:00:00 起的阶梯周期：351 kWh，累计扣费 768.36 CNY。', '本次读数扣费：768.36 CNY。']);
});

test('what breaks a rule is told with file, place and reason, and ends with 2', async () => {
  const good = await put('T.json', TARIFF);
  const fixed = await put('fixed.json', WITH_TAX);
  const overlap = structuredClone(TARIFF);
  overlap.calendar[0].bands[1].to = '07:00';
  const bad = await put('bad.json', overlap);
  const usage = await put('U.json', { ...MARCH, quantities: { flat: '1' } });
  const march = await put('march.json', { ...MARCH, quantities: { flat: '1' } });
  const long = await put('long.json', { ...MARCH, to: '2024-04-02T00:00:00+08:00', quantities: { flat: '1' } });
  const demand = await put('demand.json', { ...ONE_PRICE, lines: [{ name: 'demand', kind: 'demand', price: '32', basis: 'max_demand_kw' }] });
  const flat_fee = await put('fee.json', { ...ONE_PRICE, lines: [...ONE_PRICE.lines, { name: 'fee', kind: 'fixed', amount: '10', per: 'month' }] });
  const indexed = await put('indexed.json', INDEXED);
  const late = await put('late.csv', 'index,month,value,provisional\ngd,2024-04,0.7,true\n');
  const march_index = await put('march.csv', 'index,month,value,provisional\ngd,2024-03,0.6,false\n');
  const month = await put('month.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,5\n2024-04-01T00:00:00+08:00,6\n');
  const broken = await put('broken.json', '{"from": ');
  const falling = await put('falling.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,5\n2024-03-02T00:00:00+08:00,4\n');
  const single = await put('single.csv', 'read_at,value\n2024-03-01T00:00:00+08:00,5\n');
  const rows = [
    [['--tariff', bad, '--usage', usage], `${bad}: /calendar/0/bands/1/to: bands overlap 06:00–07:00`],
    [['--tariff', good, '--usage', usage], `${usage}: /quantities/flat: the tariff has no such period`],
    [['--tariff', good, '--usage', broken], `${broken}: line 1`],
    [['--tariff', good, '--readings', falling], `${falling}: line 3: the register went backwards`],
    [['--tariff', good, '--readings', single], `${single}: line 2: at least two readings are needed`],
    [['--tariff', demand, '--readings', month], `${month}: line 3: the window closes and its maximum demand, capacity or power factor is not known`],
    [['--tariff', indexed, '--usage', march], `${indexed}: /lines/0/prices/*: price indices are needed`],
    [['--tariff', indexed, '--usage', march, '--index', late], `${indexed}: /lines/0/prices/*/index: no value of this index for 2024-03`],
    [['--tariff', indexed, '--usage', long, '--index', march_index], `${long}: /to: the usage spans several months of price indices`],
    [['--tariff', indexed, '--usage', march, '--index', falling], `${falling}: line 1: the header must be index,month,value,provisional`],
    [['--tariff', fixed, '--amount', '1'], '--amount: the tariff has several periods'],
    [['--tariff', flat_fee, '--amount', '9.99'], '--amount: the amount does not cover what is due before the first unit'],
    [['--tariff', flat_fee, '--amount', '-1'], '--amount: must not be negative'],
    [['--tariff', flat_fee, '--amount', 'ten'], '--amount: not a decimal number'],
    [['--tariff', flat_fee, '--amount', '10', '--lang', 'fr'], '--lang: must be zh or en'],
    [['--tariff', flat_fee, '--amount', '10', '--readings', month], '--usage and --readings'],
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
