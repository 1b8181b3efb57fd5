// Price indices: a month published once makes the versions of every tariff that names the index, in each one's own time
// zone; a provisional value is trued up when the final one comes; the values a version was made of stay to be seen.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DAY, HOUR, Site, flatTariff, violations } from '../billing/site.mjs';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

const YUAN = 1_000_000n;
const SHANGHAI = 8 * HOUR;

let stack, billing;
let siteCount = 0;
before(async () => {
  stack = await startStack({ exclusive: true });
  billing = await stack.spawnService('billing');
  await billing.ready();
});
after(() => stack.stop());

// The first of a month `back` months ago, local time of Shanghai, and its name.
function monthAt(back) {
  const now = new Date(Date.now() + SHANGHAI);
  const first = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1);
  return { name: new Date(first).toISOString().slice(0, 7), start: first - SHANGHAI };
}

const indexed = (code, from, index = 'gd-lv-1kv', more = {}) => ({
  ...flatTariff(code, '0'), effective_from: new Date(from).toISOString(),
  lines: [{ name: 'energy', kind: 'quantity', prices: { flat: [{ index, times: '2', plus: '0.1' }] } }], ...more,
});
const ctl = (...words) => stack.ctl(words);
const publish = (index, month, value, ...more) => ctl('tariff', 'index', 'publish', '--index', index, '--month', month, '--value', value, ...more);
const publishTariff = (company, document, ...more) => stack.ctl(['tariff', 'publish', '--company', company, '--file', '-', '--retroactive', ...more], { input: JSON.stringify(document) });
const versions = (code) => stack.query(
  `select v.version, v.effective_from, v.replaces_num is not null as replaces, x.index_name, to_char(x.month, 'YYYY-MM') as month, x.value_micro, x.is_provisional
   from core.tariff t join core.tariff_version v on v.company_id = t.company_id and v.tariff_num = t.num
   left join core.tariff_version_index x on x.company_id = v.company_id and x.version_num = v.num
   where t.code = $1 order by v.version, x.index_name`, [code]).then(({ rows }) => rows);
const shown = async (code) => (await versions(code)).map((v) => `${v.version} ${v.effective_from.toISOString()} ${v.month} ${v.value_micro}${v.is_provisional ? ' provisional' : ''}${v.replaces ? ' replaces' : ''}`);
const tariffNum = (code) => stack.value('select num from core.tariff where code = $1', [code]);
const recharged = () => waitFor(async () => (await stack.value(
  'select (select count(*) from billing.recharge_item where done_at is null)::int + (select count(*) from billing.recharge_share)::int')) === 0, { what: 'recharges done', within_ms: 20_000 });

async function makeSite(options) {
  const code = `index-${++siteCount}`;
  const site = await Site.make(stack, { code, partition: (siteCount * 13) % 64, tariff: null, ...options });
  return Object.assign(site, { code });
}

async function sound() {
  assert.deepEqual(await violations(stack), []);
  const { code, stdout, stderr } = await ctl('ledger', 'verify');
  assert.equal(code, 0, stdout + stderr);
}

test('what breaks a rule is refused', async () => {
  for (const [args, reason] of [
    [['--index', 'x', '--month', '2026-01'], /--value/], [['--index', 'x', '--month', '2026-13', '--value', '1'], /no month/],
    [['--index', 'x', '--month', '2026-1', '--value', '1'], /no month/], [['--index', 'x', '--month', '2026-01', '--value', '1.1234567'], /--value/],
    [['--index', 'x'.repeat(65), '--month', '2026-01', '--value', '1'], /1 to 64/],
  ]) {
    const { code, stderr } = await ctl('tariff', 'index', 'publish', ...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, reason);
  }
  const { code } = await publish('a b', '2026-01', '1');
  assert.equal(code, 1);
  assert.equal(await stack.value('select count(*)::int from core.price_index_month'), 0);
});

test('a document needs a value for the month it takes effect in, and has a version for each month since', async () => {
  const site = await makeSite();
  const [three, two, one] = [monthAt(3), monthAt(2), monthAt(1)];
  const document = indexed('first', three.start + 10 * DAY, 'needs');
  const refused = await publishTariff(site.code, document);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, new RegExp(`/lines/0/prices/flat/0/index: no value of this index for ${three.name}`));
  for (const [month, value] of [[three, '0.3'], [two, '0.35'], [one, '0.4']]) assert.equal((await publish('needs', month.name, value)).code, 0);
  const done = await publishTariff(site.code, document);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await shown('first'), [
    `1 ${new Date(three.start + 10 * DAY).toISOString()} ${three.name} 300000`,
    `2 ${new Date(two.start).toISOString()} ${two.name} 350000`,
    `3 ${new Date(one.start).toISOString()} ${one.name} 400000`,
  ]);
  const again = await publishTariff(site.code, document);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /published already: version 1/);
  // A later document takes over within a month; months behind it are its own.
  assert.equal((await publishTariff(site.code, { ...document, effective_from: new Date(one.start + 5 * DAY).toISOString() })).code, 0);
  const { stdout } = await publish('needs', monthAt(0).name, '0.5');
  assert.match(stdout, new RegExp(`^${site.code} first version 5, from [^\n]*\nneeds ${monthAt(0).name} final: 1 versions\n$`));
  assert.equal((await versions('first')).length, 5);
});

test('one publication makes the versions of all companies, in each one\'s own time', async () => {
  const [here, there] = [await makeSite(), await makeSite()];
  const [one, now] = [monthAt(1), monthAt(0)];
  assert.equal((await publish('shared', one.name, '0.4')).code, 0);
  assert.equal((await publishTariff(here.code, indexed('shared-sh', one.start, 'shared'))).code, 0);
  const tokyo = indexed('shared-tk', one.start, 'shared', { time_zone: 'Asia/Tokyo' });
  assert.equal((await publishTariff(there.code, tokyo)).code, 0);
  const two = indexed('shared-two', one.start, 'shared');
  two.lines.push({ name: 'second', kind: 'quantity', prices: { flat: [{ index: 'other' }] } });
  assert.equal((await publish('other', one.name, '1')).code, 0);
  assert.equal((await publishTariff(there.code, two)).code, 0);
  const { code, stdout } = await publish('shared', now.name, '0.45');
  assert.equal(code, 0);
  assert.match(stdout, /shared-sh version 2, from \S+T00:00:00\+08:00\n/);
  assert.match(stdout, /shared-tk version 2, from \S+T00:00:00\+09:00\n/);
  assert.match(stdout, new RegExp(`shared-two waits: /lines/1/prices/flat/0/index: no value of this index for ${now.name}`));
  assert.equal((await versions('shared-sh'))[1].effective_from.getTime(), now.start);
  assert.equal((await versions('shared-tk'))[1].effective_from.getTime(), now.start - HOUR);
  assert.match((await publish('other', now.name, '2')).stdout, /shared-two version 2/);
  assert.deepEqual((await versions('shared-two')).slice(2).map((v) => [v.version, v.index_name, v.value_micro]), [[2, 'other', 2_000_000n], [2, 'shared', 450_000n]]);
  const { stdout: list } = await ctl('tariff', 'index', 'list', '--index', 'shared');
  assert.match(list, new RegExp(`^shared +${one.name} +0\\.4 +final +published \\S+ +versions 3\nshared +${now.name} +0\\.45 +final +published \\S+ +versions 3\n$`));
});

test('a document and a value published at the same time find each other', async () => {
  const site = await makeSite();
  const [one, now] = [monthAt(1), monthAt(0)];
  for (let i = 0; i < 5; i++) {
    assert.equal((await publish(`race-${i}`, one.name, '0.4')).code, 0);
    const answers = await Promise.all([publishTariff(site.code, indexed(`race-${i}`, one.start, `race-${i}`)), publish(`race-${i}`, now.name, '0.5')]);
    for (const { code, stderr } of answers) assert.equal(code, 0, stderr);
    assert.deepEqual((await versions(`race-${i}`)).map((v) => v.month), [one.name, now.name]);
  }
});

test('a value is published once; after the final one nothing follows', async () => {
  const month = monthAt(5).name;
  assert.equal((await publish('once', month, '1', '--provisional')).code, 0);
  const second = await publish('once', month, '2', '--provisional');
  assert.equal(second.code, 1);
  assert.match(second.stderr, /the provisional value is published already: 1/);
  assert.equal((await publish('once', month, '2')).code, 0);
  for (const more of [[], ['--provisional']]) {
    const third = await publish('once', month, '3', ...more);
    assert.equal(third.code, 1);
    assert.match(third.stderr, /is published already/);
  }
});

// 10 kWh an hour from the first of this month or from two days ago, whichever is later.
async function usage(code, index) {
  const now = monthAt(0);
  const site = await makeSite({ opened: Math.max(now.start, Math.floor(Date.now() / HOUR) * HOUR - 2 * DAY) });
  assert.equal((await publish(index, now.name, '0.4', '--provisional')).code, 0);
  const done = await publishTariff(site.code, indexed(code, now.start, index));
  assert.equal(done.code, 0, done.stderr);
  await site.assign(await tariffNum(code), null, new Date(now.start));
  return { site, now };
}

async function read(site, point, hours) {
  await site.journal(Array.from({ length: hours }, () => site.next(point, 10_000)));
  await site.settled();
}

test('a final value trues up what was charged with the provisional one', async () => {
  const { site, now } = await usage('trued', 'true-up');
  const [a, b] = await site.addPoints(2);
  await read(site, a, 10);
  await read(site, b, 5);
  assert.equal((await site.charged(a)).amount, 90n * YUAN);
  const { code, stdout } = await publish('true-up', now.name, '0.45');
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`${site.code}: what was charged with the provisional value will be trued up`));
  await recharged();
  assert.equal((await site.charged(a)).amount, 100n * YUAN);
  assert.equal((await site.charged(b)).amount, 50n * YUAN);
  assert.equal(await site.balance(a), -100n * YUAN);
  assert.deepEqual(await shown('trued'), [
    `1 ${new Date(now.start).toISOString()} ${now.name} 400000 provisional`,
    `2 ${new Date(now.start).toISOString()} ${now.name} 450000 replaces`,
  ]);
  const { rows } = await stack.query('select id, cause, amount_micro, corrects from billing.charge where usage_point_num = $1 and kind = 1', [a.num]);
  const explain = async (id, ...more) => (await ctl('charge', 'explain', String(id), ...more)).stdout;
  const why = JSON.parse(await explain(rows[0].id, '--json'));
  assert.deepEqual(why.indices, [{ index: 'true-up', month: now.name, value: '0.45', provisional: false }]);
  assert.match(why.sentences.at(-1), /price index is final; .* provisional value is 10\.00 CNY/);
  const then = JSON.parse(await explain(rows[0].corrects, '--json'));
  assert.deepEqual(then.indices, [{ index: 'true-up', month: now.name, value: '0.4', provisional: true }]);
  assert.match(await explain(rows[0].corrects), new RegExp(`price index true-up, which is provisionally 0\\.4 for ${now.name}`));
  assert.match(await explain(rows[0].id, '--lang', 'zh'), /价格指数已定/);
  assert.deepEqual(rows.map((r) => [r.cause, r.amount_micro]), [[2, 10n * YUAN]]);
  await sound();
  await read(site, a, 1);
  assert.equal((await site.charged(a)).amount, 110n * YUAN);
  await site.journal([site.next(a, 20_000, 2 * HOUR)]);
  await site.journal([site.reading(a, a.at - HOUR, a.value - 5_000n, { flags: 2 })]);
  await site.settled();
  await site.quiet();
  assert.equal((await site.charged(a)).amount, 130n * YUAN);
  await sound();
});

test('the same value moves no money, and what an operator has not confirmed stays', async () => {
  const { site, now } = await usage('same', 'same');
  const point = await site.addPoint();
  await read(site, point, 10);
  // A document for the past that nobody confirmed: the true-up does not bring it in.
  const other = indexed('same', site.opened + HOUR, 'same');
  other.lines[0].prices.flat = ['9'];
  assert.equal((await publishTariff(site.code, other)).code, 0);
  await sound();
  assert.equal((await publish('same', now.name, '0.4')).code, 0);
  await recharged();
  assert.equal((await site.charged(point)).amount, 90n * YUAN);
  assert.equal(await stack.value('select count(*)::int from billing.charge where usage_point_num = $1 and kind = 1', [point.num]), 0);
  const decided = await stack.query(
    `select v.version, r.run_num is not null as by_run from billing.rated_version r join core.tariff_version v on v.num = r.version_num where r.usage_point_num = $1 order by r.num`, [point.num]);
  assert.deepEqual(decided.rows, [{ version: 1, by_run: false }, { version: 3, by_run: true }]);
  await sound();
  await read(site, point, 1);
  assert.equal((await site.charged(point)).amount, 180n * YUAN);
  await sound();
});

test('killed in the true-up: each point once', async () => {
  const { site, now } = await usage('killed', 'killed');
  const points = await site.addPoints(3);
  for (const point of points) await read(site, point, 10);
  await billing.stop();
  assert.equal((await publish('killed', now.name, '0.5')).code, 0);
  for (const place of ['billing.recharge.before_expand:1', 'billing.recharge.before_commit:2', 'billing.recharge.after_commit:1']) {
    const doomed = await stack.spawnService('billing', { PENSTOCK_CRASH_POINT: place });
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
  }
  billing = await stack.spawnService('billing');
  await billing.ready();
  await recharged();
  for (const point of points) assert.equal((await site.charged(point)).amount, 110n * YUAN);
  assert.equal(await stack.value('select count(*)::int from billing.charge where kind = 1 and company_id = $1', [site.company]), 3);
  await sound();
});
