// The counter: sales, refunds, reversals, adjustments, gifts, zeroing, files of sales, receipts and the statement. Each
// movement is one posting in the ledger; whatever is refused moves nothing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { World, assertProblem } from './world.mjs';

let world, stack, manager, clerk, viewer, stranger, company;
let accounts; // open accounts of the company, one for each test that wants its own

before(async () => {
  world = await World.create();
  stack = world.stack;
  company = await world.companyNum('haigang');
  [manager, viewer, stranger] = await Promise.all([world.logIn('haigang'), world.logIn('haigang', 'viewer'), world.logIn('xuefu')]);
  const num = await stack.value(
    `insert into core.operator (company_id, id, login, name, password_hash) select company_id, gen_random_uuid(), 'clerk', 'Clerk', password_hash
     from core.operator where company_id = $1 and login = 'manager' returning num`, [company]);
  await stack.query("insert into core.operator_role (company_id, operator_num, role) values ($1, $2, 'clerk')", [company, num]);
  world.logIns.push({ ...world.who('haigang'), login: 'clerk' });
  clerk = await world.logIn('haigang', 'clerk');
  accounts = (await stack.query(
    `select a.id, a.num, a.number, p.num as purse, a.property_num, pr.id as property from core.account a
     join core.purse p on p.company_id = a.company_id and p.account_num = a.num and p.purpose = 'electricity'
     join core.property pr on pr.company_id = a.company_id and pr.num = a.property_num
     where a.company_id = $1 and a.closed_at is null order by a.num`, [company])).rows;
});
after(() => world?.stop());

const key = () => randomBytes(12).toString('hex');
const post = (who, path, body, idempotency = key()) => who.post(`/api/v1/${path}`, body, { 'idempotency-key': idempotency });
const sell = (who, account, amount, more = {}, idempotency) => post(who, `accounts/${account.id}/sales`, { purpose: 'electricity', amount, method: 'cash', ...more }, idempotency);
const refund = (who, account, amount, more = {}) => post(who, `accounts/${account.id}/refunds`, { purpose: 'electricity', amount, method: 'cash', reason: 'moves out', ...more });
const balance = (account) => stack.value('select balance_micro from billing.purse where num = $1', [account.purse]);
const yuan = (text) => BigInt(Math.round(Number(text) * 100)) * 10_000n;

// The purse is the sum of its transfers, whatever was done.
async function assertExact(account) {
  const sum = await stack.value(
    `select coalesce(sum(case when credit_class = 1 and credit_num = $1 then amount_micro else -amount_micro end), 0)::bigint
     from billing.transfer where (credit_class = 1 and credit_num = $1) or (debit_class = 1 and debit_num = $1)`, [account.purse]);
  assert.equal(await balance(account), sum);
}

// Sets the rules of the company for one test.
async function withRules(rules, body) {
  const names = Object.keys(rules);
  await stack.query(`insert into core.sales_policy (company_id, ${names.join(', ')}) values ($1, ${names.map((_, i) => `$${i + 2}`).join(', ')})`, [company, ...Object.values(rules)]);
  try {
    await body();
  } finally {
    await stack.query('delete from core.sales_policy where company_id = $1', [company]);
  }
}

describe('a sale', () => {
  test('credits the purse once per key, with a receipt, from the seller\'s cash', async () => {
    const account = accounts[0];
    const start = await balance(account);
    const once = key();
    const answers = await Promise.all(Array.from({ length: 8 }, () => sell(clerk, account, '50.00', { reference: 'note 7' }, once)));
    for (const answer of answers) {
      assert.equal(answer.status, 201, answer.text);
      assert.equal(answer.data.id, answers[0].data.id);
    }
    const { data } = answers[0];
    assert.deepEqual([data.kind, data.state, data.amount, data.currency, data.operator], ['sale', 'done', '50.00', 'CNY', 'Clerk']);
    assert.ok(data.receipt_number >= 1);
    assert.equal(await balance(account), start + 50_000_000n);
    const transfers = (await stack.query("select t.* from billing.transfer t join api.sale s on s.transfer_id = t.id where s.id = $1", [data.id])).rows;
    assert.equal(transfers.length, 1);
    assert.deepEqual([transfers[0].kind, transfers[0].debit_class, transfers[0].credit_num], [2, 7, account.purse]);
    assertProblem(await sell(clerk, account, '60.00', {}, once), 422, 'idempotency-key-reused');
    assertProblem(await clerk.post(`/api/v1/accounts/${account.id}/sales`, { purpose: 'electricity', amount: '1.00', method: 'cash' }), 400, 'idempotency-key-required');
    assert.equal(await balance(account), start + 50_000_000n);
    const told = (await stack.query("select payload from billing.outbox where type = 'balance_changed' and subject_num = $1", [account.purse])).rows;
    assert.equal(told.at(-1).payload.balance_micro, String(start + 50_000_000n));
  });

  test('what is wrong is refused with its place and moves nothing', async () => {
    const account = accounts[0];
    const start = await balance(account);
    const cases = [
      [{ amount: '0' }, '/amount'], [{ amount: '-5.00' }, '/amount'], [{ amount: 5 }, '/amount'], [{ amount: '1.005' }, '/amount'], [{ amount: '1e3' }, '/amount'],
      [{ amount: '99999999999999999999' }, '/amount'], [{ method: 'shells' }, '/method'], [{ method: 'channel' }, '/method'], [{ purpose: 'tea' }, '/purpose'],
      [{ purpose: 'deposit' }, '/purpose'], [{ more: 1 }, '/more'], [{ reference: 'x'.repeat(201) }, '/reference'], [{ order: randomBytes(8).toString('hex') }, '/order'],
    ];
    for (const [more, pointer] of cases) {
      const answer = await sell(clerk, account, more.amount ?? '5.00', more);
      assertProblem(answer, 422, 'bad-input');
      assert.equal(answer.data.errors[0].pointer, pointer, answer.text);
    }
    assertProblem(await sell(viewer, account, '5.00'), 403, 'forbidden');
    assertProblem(await sell(stranger, account, '5.00'), 404, 'not-found');
    assert.equal(await balance(account), start);
  });

  test('receipts of a legal entity have no gaps, also when many sell at once and some are refused', async () => {
    const some = accounts.slice(1, 6);
    await withRules({ single_max_micro: 100_000_000 }, async () => {
      const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => sell(i % 2 ? manager : clerk, some[i % some.length], i % 5 === 4 ? '100.01' : '10.00')));
      assert.equal(answers.filter((each) => each.status === 201).length, 24);
      for (const answer of answers.filter((each) => each.status !== 201)) assertProblem(answer, 409, 'over-limit');
    });
    const numbers = (await stack.query('select legal_entity_num, array_agg(receipt_number order by receipt_number) as list from api.sale where company_id = $1 and receipt_number is not null group by 1', [company])).rows;
    for (const { list } of numbers) assert.deepEqual(list.map(Number), list.map((_, i) => i + 1));
    for (const account of some) await assertExact(account);
  });
});

describe('a refund', () => {
  test('never exceeds the unused credit that was paid for, also of two at once', async () => {
    const account = accounts[6];
    const start = await balance(account);
    await post(manager, `accounts/${account.id}/zeroing`, { purpose: 'electricity', reason: 'begin at nothing' });
    assert.equal(await balance(account), 0n, `from ${start}`);
    assert.equal((await post(manager, `accounts/${account.id}/preset-credits`, { purpose: 'electricity', amount: '40.00', reason: 'welcome' })).status, 201);
    // What was paid in before the zeroing is still the customer's to ask for, but the gift above it is not credit he paid.
    const paid = await stack.value("select coalesce(sum(case when credit_class = 1 then amount_micro else -amount_micro end), 0)::bigint from billing.transfer where kind in (2, 3, 4, 5) and ((credit_class = 1 and credit_num = $1) or (debit_class = 1 and debit_num = $1))", [account.purse]);
    const refundable = paid < 40_000_000n ? paid : 40_000_000n;
    await sell(clerk, account, '100.00');
    const limit = (refundable < 0n ? 0n : paid + 100_000_000n < 140_000_000n ? paid + 100_000_000n : 140_000_000n) / 10_000n;
    const over = `${(limit + 1n) / 100n}.${String((limit + 1n) % 100n).padStart(2, '0')}`;
    assertProblem(await refund(clerk, account, over), 409, 'not-enough-credit');
    const answers = await Promise.all(Array.from({ length: 6 }, () => refund(clerk, account, '60.00')));
    const done = answers.filter((each) => each.status === 201).length;
    assert.equal(done, Number(limit / 6000n));
    for (const answer of answers.filter((each) => each.status !== 201)) assertProblem(answer, 409, 'not-enough-credit');
    assert.equal(await balance(account), 140_000_000n - BigInt(done) * 60_000_000n);
    assert.ok((await balance(account)) >= 0n);
    await assertExact(account);
  });

  test('through the channel it came by is asked of payments, and promised credit is not promised twice', async () => {
    const account = accounts[7];
    await post(manager, `accounts/${account.id}/zeroing`, { purpose: 'electricity', reason: 'begin at nothing' });
    await sell(clerk, account, '80.00');
    const order = '0193a1d0-0000-7000-8000-0000000000aa';
    assertProblem(await refund(clerk, account, '50.00', { method: 'channel' }), 422, 'bad-input');
    const asked = await refund(clerk, account, '50.00', { method: 'channel', order });
    assert.equal(asked.status, 202, asked.text);
    assert.equal(asked.data.state, 'requested');
    const [event] = (await stack.query('select * from api.outbox where event_id = $1', [asked.data.id])).rows;
    assert.deepEqual([event.stream, event.type, event.payload.order, event.payload.amount_micro], ['refund-requests', 'refund_requested', order, '50000000']);
    assertProblem(await refund(clerk, account, '50.00'), 409, 'not-enough-credit');
    assert.equal((await refund(clerk, account, '30.00')).status, 201);
    assert.equal(await balance(account), 50_000_000n);
  });
});

describe('a reversal', () => {
  test('undoes the last sale once, and only while its credit is unused', async () => {
    const account = accounts[8];
    const first = await sell(clerk, account, '20.00');
    const second = await sell(clerk, account, '30.00');
    const start = await balance(account);
    assertProblem(await post(clerk, `sales/${first.data.id}/reversal`, { reason: 'wrong room' }), 409, 'conflict');
    const answers = await Promise.all([1, 2, 3].map(() => post(clerk, `sales/${second.data.id}/reversal`, { reason: 'wrong room' })));
    assert.deepEqual(answers.map((each) => each.status).sort(), [201, 409, 409]);
    const reversal = answers.find((each) => each.status === 201).data;
    assert.deepEqual([reversal.kind, reversal.amount, reversal.reverses], ['reversal', '-30.00', second.data.id]);
    assert.equal(await balance(account), start - 30_000_000n);
    const [pair] = (await stack.query('select r.corrects, s.transfer_id from api.sale s join api.sale b on b.reverses_num = s.num and b.company_id = s.company_id join billing.transfer r on r.id = b.transfer_id where s.id = $1', [second.data.id])).rows;
    assert.equal(pair.corrects, pair.transfer_id);
    assert.equal((await post(clerk, `sales/${first.data.id}/reversal`, { reason: 'also wrong' })).status, 201);
    assertProblem(await post(clerk, `sales/${reversal.id}/reversal`, { reason: 'back again' }), 409, 'conflict');
    await assertExact(account);

    const used = await sell(clerk, account, '25.00');
    await post(manager, `accounts/${account.id}/adjustments`, { purpose: 'electricity', amount: `-${Number((await balance(account)) - 1_000_000n) / 1e6}`, reason: 'as if used' });
    assertProblem(await post(clerk, `sales/${used.data.id}/reversal`, { reason: 'too late' }), 409, 'not-enough-credit');
    const old = await sell(clerk, account, '25.00');
    await stack.query("update api.sale set requested_at = requested_at - interval '25 hours' where id = $1", [old.data.id]);
    assertProblem(await post(clerk, `sales/${old.data.id}/reversal`, { reason: 'too old' }), 409, 'over-limit');
  });
});

describe('limits and second persons', () => {
  test('above the limit another manager decides, never the one who asked', async () => {
    const account = accounts[9];
    const start = await balance(account);
    await withRules({ second_person_above_micro: 200_000_000 }, async () => {
      const asked = await sell(clerk, account, '200.01');
      assert.deepEqual([asked.status, asked.data.state, asked.data.receipt_number], [202, 'waiting', null]);
      assert.equal(await balance(account), start);
      assertProblem(await post(clerk, `sales/${asked.data.id}/decision`, { decision: 'approve' }), 403, 'forbidden');
      const waiting = await manager.get('/api/v1/sales?state=waiting');
      assert.deepEqual(waiting.data.items.map((each) => each.id), [asked.data.id]);
      const both = await Promise.all([post(manager, `sales/${asked.data.id}/decision`, { decision: 'approve' }), post(manager, `sales/${asked.data.id}/decision`, { decision: 'approve' })]);
      assert.deepEqual(both.map((each) => each.status).sort(), [200, 409]);
      assert.equal(await balance(account), start + 200_010_000n);
      const own = await sell(manager, account, '300.00');
      assertProblem(await post(manager, `sales/${own.data.id}/decision`, { decision: 'approve' }), 403, 'other-person-needed');
      const gift = await post(manager, `accounts/${account.id}/preset-credits`, { purpose: 'electricity', amount: '500.00', reason: 'gift' });
      assert.equal(gift.status, 202);
      const refused = await sell(clerk, account, '250.00');
      assert.equal((await post(manager, `sales/${refused.data.id}/decision`, { decision: 'reject' })).data.state, 'rejected');
      assert.equal(await balance(account), start + 200_010_000n);
    });
  });

  test('what a purse may hold, and what an operator may move in a day', async () => {
    const account = accounts[10];
    await post(manager, `accounts/${account.id}/zeroing`, { purpose: 'electricity', reason: 'begin at nothing' });
    await withRules({ balance_max_micro: 150_000_000 }, async () => {
      assert.equal((await sell(manager, account, '100.00')).status, 201);
      assertProblem(await sell(manager, account, '50.01'), 409, 'over-limit');
      assert.equal((await sell(manager, account, '50.00')).status, 201);
    });
    const moved = await stack.value("select coalesce(sum(s.amount_micro), 0)::bigint from api.sale s join core.operator o on o.company_id = s.company_id and o.num = s.operator_num where o.company_id = $1 and o.login = 'clerk' and s.state not in ('failed', 'rejected') and s.requested_at > now() - interval '1 day'", [company]);
    await withRules({ operator_day_max_micro: moved + 30_000_000n }, async () => {
      assertProblem(await sell(clerk, account, '30.01'), 409, 'over-limit');
      assert.equal((await sell(clerk, account, '30.00')).status, 201);
      assertProblem(await sell(clerk, account, '0.01'), 409, 'over-limit');
    });
  });
});

describe('the statement', () => {
  test('shows every movement with the balance after it, exactly', async () => {
    const account = accounts[11];
    for (const amount of ['12.34', '0.66']) await sell(clerk, account, amount);
    await post(manager, `accounts/${account.id}/adjustments`, { purpose: 'electricity', amount: '-3.00', reason: 'meter read wrong' });
    let cursor = '';
    const items = [];
    for (let pages = 0; pages < 20; pages++) {
      const { status, data, text } = await viewer.get(`/api/v1/accounts/${account.id}/statement?purpose=electricity${cursor}`);
      assert.equal(status, 200, text);
      items.push(...data.items);
      if (pages === 0) assert.equal(yuan(data.balance) / 10_000n, (await balance(account)) / 10_000n);
      if (data.next_cursor === null) break;
      cursor = `&cursor=${encodeURIComponent(data.next_cursor)}`;
    }
    assert.deepEqual(items.slice(0, 3).map((each) => [each.kind, each.amount]), [['adjustment', '-3.00'], ['sale', '0.66'], ['sale', '12.34']]);
    assert.equal(items[0].note, 'meter read wrong');
    assert.ok(items.some((each) => each.kind === 'usage' && each.quantity !== null));
    const micro = (text) => { const [whole, part = ''] = text.replace('-', '').split('.'); const value = BigInt(whole) * 1_000_000n + BigInt(part.padEnd(6, '0')); return text.startsWith('-') ? -value : value; };
    for (let i = 0; i + 1 < items.length; i++) assert.equal(micro(items[i].balance) - micro(items[i].amount), micro(items[i + 1].balance), `row ${i}`);
    assert.equal(micro(items.at(-1).balance), micro(items.at(-1).amount), 'it begins at nothing');
    assert.equal(micro(items[0].balance), await balance(account));
    assertProblem(await stranger.get(`/api/v1/accounts/${account.id}/statement`), 404, 'not-found');
    assertProblem(await viewer.get(`/api/v1/accounts/${accounts[0].id}/statement${cursor.replace('&', '?') || '?cursor=x'}`), 422, 'bad-input');
  });

  test('a receipt says whose, what and when; a later print is a copy', async () => {
    const sold = await sell(clerk, accounts[12], '9.90', { reference: 'K-1' });
    const first = await clerk.post(`/api/v1/sales/${sold.data.id}/receipt`);
    assert.equal(first.status, 200, first.text);
    assert.deepEqual([first.data.number, first.data.copy, first.data.amount, first.data.account_number, first.data.reference], [sold.data.receipt_number, 0, '9.90', accounts[12].number, 'K-1']);
    assert.equal((await clerk.post(`/api/v1/sales/${sold.data.id}/receipt`)).data.copy, 1);
    const day = await clerk.get(`/api/v1/sales-day?property=${accounts[12].property}`);
    assert.equal(day.status, 200, day.text);
    assert.ok(day.data.items.some((each) => each.kind === 'sale' && each.method === 'cash' && each.count >= 1));
  });
});

describe('a file of sales', () => {
  test('is shown row by row, sold as shown, and not a second time', async () => {
    const [a, b] = accounts.filter((each) => each.property === accounts[13].property).slice(-2);
    const before = [await balance(a), await balance(b)];
    const csv = ['account,purpose,amount,reference', `${a.number},electricity,11.00,R1`, `"${b.number}",electricity,22.50,"a ""good"" one"`, 'nobody,electricity,5.00,R3', `${a.number},tea,5.00,R4`,
      `${a.number},electricity,minus,R5`, `${a.number},electricity,1.00,R6,more`, ''].join('\r\n');
    const shown = await post(manager, 'bulk-sales', { property: a.property, file_name: 'march.csv', csv });
    assert.equal(shown.status, 201, shown.text);
    assert.deepEqual(shown.data.rows.map((row) => row.problem === null), [true, true, false, false, false, false]);
    assert.deepEqual([shown.data.sellable, shown.data.total], [2, '33.50']);
    assert.equal(shown.data.rows[1].reference, 'a "good" one');
    assert.deepEqual([await balance(a), await balance(b)], before);
    assertProblem(await post(clerk, `bulk-sales/${shown.data.id}/confirmation`), 403, 'forbidden');
    const confirm = await Promise.all([post(manager, `bulk-sales/${shown.data.id}/confirmation`), post(manager, `bulk-sales/${shown.data.id}/confirmation`)]);
    assert.deepEqual(confirm.map((each) => each.status).sort(), [200, 409]);
    const sold = confirm.find((each) => each.status === 200).data;
    assert.deepEqual(sold.rows.map((row) => row.sale !== null), [true, true, false, false, false, false]);
    assert.deepEqual([await balance(a), await balance(b)], [before[0] + 11_000_000n, before[1] + 22_500_000n]);
    const again = await post(manager, 'bulk-sales', { property: a.property, file_name: 'copy.csv', csv });
    assertProblem(await post(manager, `bulk-sales/${again.data.id}/confirmation`), 409, 'conflict');
    assert.deepEqual([await balance(a), await balance(b)], [before[0] + 11_000_000n, before[1] + 22_500_000n]);
    for (const [text, place] of [['', 'line 1'], ['a,b\n1,2', 'line 1'], ['account,purpose,amount,reference\n', 'line 2']]) {
      const answer = await post(manager, 'bulk-sales', { property: a.property, file_name: 'x', csv: text || ' ' });
      assertProblem(answer, 422, 'bad-input');
      assert.match(answer.text, new RegExp(place));
    }
    await assertExact(a);
  });
});

test('whatever is done in whatever order, each purse is the sum of its movements and ledger verify agrees', async () => {
  const seed = Number(process.env.PENSTOCK_TEST_SEED ?? Math.floor(Math.random() * 1e9));
  let state = seed;
  const random = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return Math.floor((state / 2147483648) * n); };
  const some = accounts.slice(0, 5);
  const sales = [];
  const steps = Array.from({ length: 120 }, () => async () => {
    const account = some[random(some.length)];
    const amount = `${1 + random(50)}.${String(random(100)).padStart(2, '0')}`;
    const what = random(5);
    if (what === 0) return refund(clerk, account, amount);
    if (what === 1) return post(manager, `accounts/${account.id}/adjustments`, { purpose: 'electricity', amount: random(2) ? amount : `-${amount}`, reason: 'random' });
    if (what === 2 && sales.length > 0) return post(clerk, `sales/${sales[random(sales.length)]}/reversal`, { reason: 'random' });
    const sold = await sell(clerk, account, amount);
    if (sold.status === 201) sales.push(sold.data.id);
    return sold;
  });
  for (let i = 0; i < steps.length; i += 6) for (const answer of await Promise.all(steps.slice(i, i + 6).map((step) => step()))) assert.ok([201, 409].includes(answer.status), `${answer.status} ${answer.text} (seed ${seed})`);
  for (const account of some) await assertExact(account);
  const { code, stdout, stderr } = await stack.ctl(['ledger', 'verify']);
  assert.equal(code, 0, `seed ${seed}\n${stdout}${stderr}`);
});
