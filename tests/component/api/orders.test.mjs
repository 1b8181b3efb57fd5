// Payments through the channel, asked for at the counter: opened, shown, closed, paid.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { FakeWeChatPay } from '../../fakes/wechat_pay.mjs';
import { waitFor } from '../../support/wait.mjs';
import { Company, QUICK } from '../payments/site.mjs';
import { World, assertProblem } from './world.mjs';

let world, stack, manager, viewer, stranger, company, account;

before(async () => {
  world = await World.create();
  stack = world.stack;
  company = await world.companyNum('haigang');
  [manager, viewer, stranger] = await Promise.all([world.logIn('haigang'), world.logIn('haigang', 'viewer'), world.logIn('xuefu')]);
  [account] = (await stack.query('select id, num, number, property_num from core.account where company_id = $1 and closed_at is null order by num limit 1', [company])).rows;
});
after(() => world?.stop());

const key = () => randomBytes(12).toString('hex');
const open = (who, amount, more = {}, idempotency = key()) =>
  who.post(`/api/v1/accounts/${account.id}/orders`, { purpose: 'electricity', amount, ...more }, { 'idempotency-key': idempotency });
const setMerchant = () => stack.query(
  `insert into core.merchant (company_id, id, legal_entity_num, channel, mode, merchant, app, base_url, created_at)
   select company_id, gen_random_uuid(), legal_entity_num, 'wechat', 'direct', '1900000001', 'wx1', 'http://127.0.0.1:9', now()
   from core.property_seller where company_id = $1 and property_num = $2 and item = 'electricity'`, [company, account.property_num]);
// As payments writes what the channel said.
const channelSays = (id, assignments) => stack.query(`update payments.payment_order set ${assignments} where company_id = $1 and id = $2`, [company, id]);

test('where no merchant serves the place nothing is opened', async () => {
  assertProblem(await open(manager, '5.00'), 409, 'conflict');
  assert.equal(await stack.value('select count(*) from payments.payment_order'), 0n);
});

test('one order per key; its code is shown only while it can be scanned', async () => {
  await setMerchant();
  const once = key();
  const answers = await Promise.all(Array.from({ length: 6 }, () => open(manager, '50.00', { product: 'native' }, once)));
  for (const answer of answers) {
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.data.id, answers[0].data.id);
  }
  const { data } = answers[0];
  assert.deepEqual([data.state, data.amount, data.currency, data.account, data.account_number, data.code_url, data.is_closing], ['created', '50.00', 'CNY', account.id, account.number, null, false]);
  assert.equal(await stack.value('select count(*) from payments.payment_order where company_id = $1', [company]), 1n);
  assert.equal(await stack.value("select count(*) from core.audit where company_id = $1 and action = 'order_opened'", [company]), 1n);
  assertProblem(await open(manager, '51.00', {}, once), 422, 'idempotency-key-reused');

  const shown = async () => (await viewer.get(`/api/v1/orders/${data.id}`)).data;
  await channelSays(data.id, "state = 'pending', handle_kind = 'qr', handle = 'weixin://pay/1', handle_valid_to = now() + interval '10 minutes'");
  assert.deepEqual([(await shown()).state, (await shown()).code_url], ['pending', 'weixin://pay/1']);
  await channelSays(data.id, "handle_valid_to = now() - interval '1 second'");
  assert.equal((await shown()).code_url, null);
  await channelSays(data.id, "handle_valid_to = now() + interval '10 minutes'");

  const closed = await manager.post(`/api/v1/orders/${data.id}/close`);
  assert.equal(closed.status, 200, closed.text);
  assert.deepEqual([closed.data.state, closed.data.is_closing, closed.data.code_url], ['pending', true, null]);
  assert.equal((await manager.post(`/api/v1/orders/${data.id}/close`)).status, 200);
  assert.equal(await stack.value("select count(*) from core.audit where company_id = $1 and action = 'order_closed'", [company]), 1n);
  await channelSays(data.id, "state = 'closed', closed_at = now()");
  const ended = await manager.post(`/api/v1/orders/${data.id}/close`);
  assert.deepEqual([ended.status, ended.data.state, ended.data.is_closing], [200, 'closed', false]);
  await channelSays(data.id, "state = 'paid_late', credited_at = now()");
  assertProblem(await manager.post(`/api/v1/orders/${data.id}/close`), 409, 'conflict');
  assert.ok((await shown()).credited_at);
});

test('what is wrong is refused with its place and opens nothing', async () => {
  const count = () => stack.value('select count(*) from payments.payment_order');
  const start = await count();
  const cases = [
    [{ amount: '0' }, '/amount'], [{ amount: '-5.00' }, '/amount'], [{ amount: 5 }, '/amount'], [{ amount: '1.005' }, '/amount'], [{ amount: '1000000.01' }, '/amount'],
    [{ purpose: 'tea' }, '/purpose'], [{ product: 'jsapi' }, '/product'], [{ more: 1 }, '/more'],
  ];
  for (const [more, pointer] of cases) {
    const answer = await open(manager, '5.00', more);
    assertProblem(answer, 422, 'bad-input');
    assert.equal(answer.data.errors[0].pointer, pointer, answer.text);
  }
  assertProblem(await open(viewer, '5.00'), 403, 'forbidden');
  assertProblem(await open(stranger, '5.00'), 404, 'not-found');
  assertProblem(await manager.post(`/api/v1/accounts/${account.id}/orders`, { purpose: 'electricity', amount: '5.00' }), 400, 'idempotency-key-required');
  assert.equal(await count(), start);
});

test('too many open ones wait; a page at a time lists each once; others see none', async () => {
  let refused;
  for (let i = 1; i <= 21 && !refused; i++) {
    const answer = await open(manager, `${i}.00`);
    if (answer.status !== 201) refused = answer;
  }
  assertProblem(refused, 429, 'too-many-requests');
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  const ids = [];
  let cursor = '';
  do {
    const page = await viewer.get(`/api/v1/accounts/${account.id}/orders?limit=6${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    assert.equal(page.status, 200, page.text);
    ids.push(...page.data.items.map((each) => each.id));
    cursor = page.data.next_cursor;
  } while (cursor);
  const stored = (await stack.query('select id from payments.payment_order where company_id = $1 and account_num = $2 order by num desc', [company, account.num])).rows.map((row) => row.id);
  assert.equal(stored.length, 21);
  assert.deepEqual(ids, stored);
  for (const path of [`orders/${ids[0]}`, `accounts/${account.id}/orders`]) assertProblem(await stranger.get(`/api/v1/${path}`), 404, 'not-found');
  assertProblem(await stranger.post(`/api/v1/orders/${ids[0]}/close`), 404, 'not-found');
  assertProblem(await viewer.post(`/api/v1/orders/${ids[0]}/close`), 403, 'forbidden');
});

test('with payments behind it: a code to scan, paid, credited; and one that is closed at the channel', async () => {
  const channel = await FakeWeChatPay.start({ retry_scale: 0.02 });
  try {
    const payments = await stack.spawnService('payments', QUICK);
    await payments.ready();
    const payer = new Company({ stack, channel, payments, merchants: 0 }, 'xuefu');
    const num = await world.companyNum('xuefu');
    const [home] = (await stack.query(
      `select a.id, p.num as purse, s.legal_entity_num from core.account a
       join core.purse p on p.company_id = a.company_id and p.account_num = a.num and p.purpose = 'electricity'
       join core.property_seller s on s.company_id = a.company_id and s.property_num = a.property_num and s.item = 'electricity'
       where a.company_id = $1 and a.closed_at is null order by a.num limit 1`, [num])).rows;
    const entity = await stack.value('select id from core.legal_entity where company_id = $1 and num = $2', [num, home.legal_entity_num]);
    await payer.setMerchant({ args: ['--legal-entity', entity] });
    await waitFor(async () => (await fetch(payer.notifyUrl(), { method: 'POST', body: '{}' })).status === 401, { what: 'the merchant known', within_ms: 10_000 });
    const ask = (amount) => stranger.post(`/api/v1/accounts/${home.id}/orders`, { purpose: 'electricity', amount }, { 'idempotency-key': key() });
    const becomes = (id, check, what) => waitFor(async () => {
      const { data } = await stranger.get(`/api/v1/orders/${id}`);
      return check(data) ? data : null;
    }, { what, within_ms: 15_000 });
    const opened = await ask('12.34');
    assert.equal(opened.status, 201, opened.text);
    const shown = await becomes(opened.data.id, (order) => order.code_url !== null, 'a code');
    assert.match(shown.code_url, /^weixin:/);
    assert.equal(shown.state, 'pending');
    const balance = () => stack.value('select balance_micro from billing.purse where num = $1', [home.purse]);
    const start = await balance();
    channel.pay(shown.id.replaceAll('-', ''));
    const paid = await becomes(shown.id, (order) => order.state === 'paid', 'the payment');
    assert.equal(paid.code_url, null);
    assert.ok(paid.credited_at);
    assert.equal((await balance()) - start, 12_340_000n);

    const other = await ask('7.00');
    await becomes(other.data.id, (order) => order.code_url !== null, 'a code');
    assert.equal((await stranger.post(`/api/v1/orders/${other.data.id}/close`)).status, 200);
    await becomes(other.data.id, (order) => order.state === 'closed', 'the close');
    assert.equal((await balance()) - start, 12_340_000n);
  } finally {
    await channel.stop();
  }
});
