// What-if over the demo's charged usage: the same tariff changes nothing, doubled prices double, and the side of today is
// what was charged.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

const METERS = 60;
const DAYS = 40;
const CENT = 10_000n; // in micro-units

let stack, properties;

before(async () => {
  stack = await startStack();
  const { code, stderr } = await stack.ctl(['demo', 'load', '--meters', String(METERS), '--days', String(DAYS), '--fleet-out', path.join(stack.dir, 'fleet.json')]);
  assert.equal(code, 0, stderr);
  const billing = await stack.spawnService('billing');
  await billing.ready();
  const count = async (table) => Number(await stack.value(`select count(*) from ${table}`));
  await waitFor(async () => (await count('billing.reading')) === METERS * DAYS * 24, { what: 'all readings charged', within_ms: 60_000, every_ms: 200 });
  await waitFor(async () => (await count('billing.day')) >= METERS * DAYS, { what: 'all days packed', within_ms: 60_000, every_ms: 200 });
  await billing.stop();
  ({ rows: properties } = await stack.query('select company_id, num, id, code, name from core.property order by num'));
});
after(() => stack.stop());

const micro = (text) => {
  const match = /^(-?)(\d+)\.(\d{2,6})$/.exec(text);
  assert.ok(match, `${text} is no amount`);
  return (match[1] ? -1n : 1n) * BigInt(match[2] + match[3].padEnd(6, '0'));
};

// The instants that lie inside no charge of the property.
async function bounds(property) {
  const { rows } = await stack.query(`
    select distinct c.to_at from billing.charge c join core.usage_point u on u.num = c.usage_point_num
    where u.property_num = $1
      and not exists (select from billing.charge o join core.usage_point v on v.num = o.usage_point_num
                      where v.property_num = $1 and o.from_at < c.to_at and o.to_at > c.to_at)
    order by c.to_at`, [property.num]);
  return rows.map(({ to_at: at }) => at.toISOString());
}

const whole = async (property) => {
  const { rows: [row] } = await stack.query(`select min(c.from_at) as "from", max(c.to_at) as "to" from billing.charge c
    join core.usage_point u on u.num = c.usage_point_num where u.property_num = $1`, [property.num]);
  return [row.from.toISOString(), row.to.toISOString()];
};

async function charged(property, from, to) {
  const { rows } = await stack.query(`
    select a.number, sum(c.amount_micro)::text as amount, sum(c.quantity)::text as quantity
    from billing.charge c join core.account a on a.num = c.account_num
    where a.property_num = $1 and c.from_at >= $2 and c.to_at <= $3 group by a.number order by a.number`, [property.num, from, to]);
  return new Map(rows.map(({ number, amount, quantity }) => [number, { amount: BigInt(amount), quantity: BigInt(quantity) }]));
}

// The newest version of each of the company's tariffs.
async function documents(property) {
  const { rows } = await stack.query(`
    select distinct on (t.num) v.document, t.code
    from core.tariff t join core.tariff_version v on v.tariff_num = t.num and v.company_id = t.company_id
    where t.company_id = $1 order by t.num, v.version desc`, [property.company_id]);
  return rows;
}

async function simulate(property, document, from, to, ...args) {
  const file = path.join(stack.dir, 'tried.json');
  await writeFile(file, typeof document === 'string' ? document : JSON.stringify(document));
  return stack.ctl(['simulate', '--tariff', file, '--property', property.code, '--from', from, '--to', to, ...args]);
}

async function simulated(property, document, from, to) {
  const { code, stdout, stderr } = await simulate(property, document, from, to, '--format', 'json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

// Accounts whose points are all priced by one tariff.
async function accountsOf(property, code) {
  const { rows } = await stack.query(`
    select a.number from billing.charge c join core.account a on a.num = c.account_num
    join core.tariff_version v on v.num = c.tariff_version_num join core.tariff t on t.num = v.tariff_num
    where a.property_num = $1 group by a.number having bool_and(t.code = $2)`, [property.num, code]);
  return new Set(rows.map(({ number }) => number));
}

function sumsAgree(answer) {
  const sum = (list, key) => list.reduce((total, each) => total + micro(each[key]), 0n);
  for (const key of ['now', 'then', 'difference']) assert.equal(sum(answer.accounts, key), micro(answer.total[key]), key);
  const more = answer.accounts.filter(({ difference }) => micro(difference) > 0n);
  assert.equal(answer.pays_more.accounts, more.length);
  assert.equal(sum(more, 'difference'), micro(answer.pays_more.difference));
  assert.equal(answer.pays_more.accounts + answer.pays_less.accounts + answer.pays_the_same.accounts, answer.accounts.length);
  const differences = answer.accounts.map(({ difference }) => micro(difference));
  assert.deepEqual(differences, differences.toSorted((a, b) => (a > b ? -1 : a < b ? 1 : 0)), 'who pays most more comes first');
}

test('the same tariff changes nothing, and what is paid now is what was charged', async () => {
  let same = 0;
  let inner = 0;
  for (const property of properties) {
    const [first, last] = await whole(property);
    const at = await bounds(property);
    const spans = [[first, last], [at[Math.floor(at.length / 3)], at[Math.floor(at.length / 3 * 2)]]];
    for (const [from, to] of spans) {
      assert.ok(from < to, property.code);
      const stored = await charged(property, from, to);
      inner += from > first && to < last && stored.size > 0;
      for (const { document, code } of await documents(property)) {
        const answer = await simulated(property, document, from, to);
        sumsAgree(answer);
        const now = new Map(answer.accounts.map((each) => [each.number, micro(each.now)]));
        for (const [number, { amount }] of stored) assert.equal(now.get(number) ?? 0n, amount, `${property.code} ${number} ${from} ${to}`);
        assert.equal(micro(answer.total.now), [...stored.values()].reduce((sum, { amount }) => sum + amount, 0n));
        const mine = await accountsOf(property, code);
        for (const each of answer.accounts.filter(({ number }) => mine.has(number))) {
          same++;
          assert.equal(micro(each.difference), 0n, `${property.code} ${code} ${each.number} ${from} ${to}`);
        }
      }
    }
  }
  assert.equal(inner, properties.length, 'each property was compared in the middle of its usage, too');
  assert.ok(same > METERS, `${same} accounts were compared under their own tariff`);
});

test('bounds inside a reading interval: the same tariff still changes nothing', async () => {
  const property = properties[0];
  const [first, last] = await whole(property);
  const from = new Date(Date.parse(first) + 10 * 86_400_000 + 1_234_567).toISOString();
  const to = new Date(Date.parse(last) - 5 * 86_400_000 - 7_654_321).toISOString();
  let same = 0;
  for (const { document, code } of await documents(property)) {
    const answer = await simulated(property, document, from, to);
    const mine = await accountsOf(property, code);
    for (const each of answer.accounts.filter(({ number }) => mine.has(number))) {
      same++;
      assert.equal(micro(each.difference), 0n, `${code} ${each.number}`);
    }
  }
  assert.ok(same > 0);
});

const doubled = (price) => (Array.isArray(price) ? price.map(doubled) : (Number(price) * 2).toFixed(4));

test('doubled prices double what is paid, up to the rounding of each window', async () => {
  let compared = 0;
  for (const property of properties) {
    const [from, to] = await whole(property);
    for (const { document, code } of await documents(property)) {
      const dear = structuredClone(typeof document === 'string' ? JSON.parse(document) : document);
      for (const line of dear.lines) if (line.prices) for (const [period, prices] of Object.entries(line.prices)) line.prices[period] = doubled(prices);
      const answer = await simulated(property, dear, from, to);
      const mine = await accountsOf(property, code);
      for (const each of answer.accounts.filter(({ number }) => mine.has(number))) {
        const off = micro(each.then) - 2n * micro(each.now);
        const most = 4n * CENT; // two month windows and the change of one account's points
        assert.ok(off <= most && off >= -most, `${code} ${each.number}: ${each.now} became ${each.then}`);
        if (micro(each.now) > CENT * 1000n) assert.match(each.percent, /^(100\.\d\d|99\.\d\d)$/);
        compared++;
      }
    }
  }
  assert.ok(compared > METERS / 2, String(compared));
});

// RFC 4180, strictly: what is not a quoted or plain field followed by a comma or CRLF fails.
function csvRows(text) {
  const rows = [[]];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const match = field.exec(text);
    assert.ok(match, `no field at ${at}: ${text.slice(at, at + 40)}`);
    rows.at(-1).push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
    if (match[3] === '\r\n') rows.push([]);
  }
  rows.pop();
  return rows;
}

test('table, CSV and JSON tell the same; nothing becomes a formula; nothing is written', async () => {
  const property = properties[0];
  const [from, to] = await whole(property);
  const [{ document }] = await documents(property);
  const tables = ['billing.charge', 'billing.transfer', 'billing.tier_window', 'core.tariff_version'];
  const counts = async () => Promise.all(tables.map((table) => stack.value(`select count(*)::integer from ${table}`)));
  const { rows: [victim] } = await stack.query(`
    select a.number, c.num, c.name from core.account a join core.agreement g on g.num = a.agreement_num join core.customer c on c.num = g.customer_num
    join billing.charge h on h.account_num = a.num where a.property_num = $1 limit 1`, [property.num]);
  await stack.query('update core.customer set name = $2 where num = $1', [victim.num, '=HYPERLINK("x"),\n张三']);
  const before = await counts();
  const answer = await simulated(property, document, from, to);
  const csv = await simulate(property, document, from, to, '--format', 'csv');
  const table = await simulate(property, document, from, to);
  assert.equal(csv.code, 0, csv.stderr);
  assert.equal(table.code, 0, table.stderr);
  assert.deepEqual(await counts(), before);
  await stack.query('update core.customer set name = $2 where num = $1', [victim.num, victim.name]);

  assert.ok(csv.stdout.startsWith('\uFEFFrow,name,'));
  const [head, ...rows] = csvRows(csv.stdout.slice(1));
  assert.deepEqual(head, ['row', 'name', 'customer', 'quantity', 'now', 'then', 'difference', 'percent', 'reason']);
  for (const row of rows) assert.equal(row.length, head.length);
  const accounts = rows.filter(([kind]) => kind === 'account');
  assert.deepEqual(accounts.map(([, number, , quantity, now, then, difference, percent]) => ({ number, quantity, now, then, difference, percent: percent || null })),
    answer.accounts.map(({ customer, ...rest }) => rest));
  assert.deepEqual(rows.filter(([kind]) => kind === 'total').map((row) => row.slice(3, 7)),
    [['quantity', 'now', 'then', 'difference'].map((key) => answer.total[key])]);
  assert.deepEqual(rows.filter(([kind]) => kind === 'left_out').map(([, name, , , , , , , reason]) => [name, reason]),
    answer.left_out.map(({ name, reason }) => [name, reason]));
  assert.ok(accounts.some(([, number, customer]) => number === victim.number && customer === '\'=HYPERLINK("x"),\n张三'));
  assert.equal(answer.accounts.find(({ number }) => number === victim.number).customer, '=HYPERLINK("x"),\n张三');

  // Right edges line up when a Chinese character counts two columns.
  const lines = table.stdout.split('\n').slice(2, 4 + answer.accounts.length);
  const columns = (text) => [...text].reduce((sum, each) => sum + (/[\u2e80-\ua4cf\uff00-\uff60]/u.test(each) ? 2 : 1), 0);
  assert.equal(new Set(lines.map(columns)).size, 1, lines.slice(0, 4).join('\n'));
  assert.ok(lines.at(-1).startsWith('total'));
  assert.match(table.stdout, new RegExp(`${answer.points} usage points compared, ${answer.readings} readings`));
});

test('a property by its id, and within its company', async () => {
  const property = properties[1];
  const [from, to] = await whole(property);
  const [{ document }] = await documents(property);
  const byCode = await simulated(property, document, from, to);
  assert.deepEqual(await simulated({ code: property.id }, document, from, to), byCode);
  const company = await stack.value('select code from core.company where company_id = $1', [property.company_id]);
  const other = await stack.value('select code from core.company where company_id <> $1 limit 1', [property.company_id]);
  assert.equal((await simulate(property, document, from, to, '--company', company)).code, 0);
  const wrong = await simulate(property, document, from, to, '--company', other);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^penstockctl: --property: there is no property/);
});

test('points that cannot be compared are named with the reason', async () => {
  const property = properties[0];
  const [from, to] = await whole(property);
  const [{ document }] = await documents(property);
  const point = await stack.value(`select c.usage_point_num from billing.charge c join core.usage_point u on u.num = c.usage_point_num
    where u.property_num = $1 and c.account_num <> 0 limit 1`, [property.num]);
  const before = await simulated(property, document, from, to);
  await stack.query("update core.usage_point set utility = 'gas' where num = $1", [point]);
  const after = await simulated(property, document, from, to);
  await stack.query("update core.usage_point set utility = 'electricity' where num = $1", [point]);
  assert.equal(after.points, before.points - 1);
  const id = await stack.value('select id from core.usage_point where num = $1', [point]);
  assert.deepEqual(after.left_out.filter((each) => each.usage_point === id).map(({ reason }) => reason), ['measures another utility']);
});

test('what is wrong is told in one line, with exit code 2', async () => {
  const property = properties[0];
  const [from, to] = await whole(property);
  const [{ document }] = await documents(property);
  const good = typeof document === 'string' ? JSON.parse(document) : document;
  const bad = [
    [{ ...good, time_zone: 'Europe/Berlin' }, [], /tried\.json: \/time_zone: the property's time zone is Asia\/Shanghai/],
    [{ ...good, currency: 'EUR' }, [], /tried\.json: \/currency: the property's currency is CNY/],
    [{ ...good, lines: [] }, [], /tried\.json: \/lines: /],
    ['{"code": ', [], /tried\.json: line 1, column /],
    [good, ['--format', 'xml'], /--format: 'xml'/],
    [good, ['--to', from], /--to: must lie behind --from/],
    [good, ['--from', 'yesterday'], /--from: 'yesterday'/],
    [good, ['--property', 'nowhere'], /--property: there is no property 'nowhere'/],
    [good, ['--company', 'nobody'], /--company: there is no company 'nobody'/],
    [good, ['--tariff', '/nowhere/t.json'], /\/nowhere\/t\.json: No such file/],
  ];
  for (const [tried, args, reason] of bad) {
    const { code, stdout, stderr } = await simulate(property, tried, from, to, ...args);
    assert.equal(code, 2, `${reason}: ${stderr}`);
    assert.equal(stdout, '');
    assert.match(stderr, reason);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
  assert.equal((await stack.ctl(['simulate'])).code, 2);
});
