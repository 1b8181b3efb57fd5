// The life of orders against the programmable channel: made, shown, paid, closed, and what happens when answers get lost.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../../support/wait.mjs';
import { Site, YUAN } from './site.mjs';

let site;
let shop;
before(async () => {
  site = await Site.start();
  shop = await site.company('shop', { accounts: 40 });
});
after(() => site?.stop());

let next = 0;
const fresh = () => shop.accounts[next++];

test('an order is payable within a second, paid, credited once, and told', async () => {
  const account = fresh();
  const began = Date.now();
  const order = await shop.payable({ account });
  assert.ok(Date.now() - began < 1500, `${Date.now() - began} ms`);
  assert.equal(order.state, 'pending');
  assert.equal(order.handle_kind, 'qr');
  assert.match(order.handle, /^weixin:/);
  site.channel.pay(order.number);
  const paid = await shop.becomes(order.id, 'paid');
  await site.channel.settled();
  assert.equal(await shop.balance(account), 50n * YUAN);
  assert.equal(await shop.credits(order), 1n);
  assert.equal(paid.next_query_at, null);
  assert.equal(paid.channel_id, site.channel.book.find(order.number).paid.transaction_id);
  const { rows } = await site.stack.query('select type, payload from payments.outbox where subject_num = $1 order by version, type', [order.num]);
  assert.deepEqual(rows.map((row) => [row.type, row.payload.state]), [['order_changed', 'pending'], ['order_changed', 'paid'], ['order_paid', undefined]]);
  assert.equal(rows[2].payload.amount_micro, '50000000');
  assert.equal(await site.stack.value('select outcome from payments.notification where order_num = $1', [order.num]), 'credited');
  assert.equal(await shop.switchOffBlock(account), 'payment_recent');
  assert.equal(await shop.switchOffBlock(account, new Date(Date.now() + 11 * 60_000)), null);
});

for (const [product, options, kind] of [
  ['jsapi', { payer: 'oPayer' }, 'parameters'],
  ['h5', { client_ip: '203.0.113.9' }, 'url'],
]) {
  test(`${product} gives ${kind}`, async () => {
    const order = await shop.payable({ account: fresh(), product, ...options });
    assert.equal(order.handle_kind, kind);
    if (kind === 'parameters') assert.equal(JSON.parse(order.handle).signType, 'RSA');
  });
}

const REFUSED = [
  ['an amount that is no whole fen', { amount: 1n }, 'amount'],
  ['an amount of nothing', { amount: 0n }, 'amount'],
  ['an unknown product', { product: 'app' }, 'product'],
  ['JSAPI without a payer', { product: 'jsapi' }, 'payer'],
  ['H5 without an address', { product: 'h5' }, 'payer'],
];
for (const [what, options, reason] of REFUSED) {
  test(`refused: ${what}`, async () => assert.equal((await shop.open({ account: shop.accounts[0], ...options })).refusal, reason));
}

test('the same request gives the same order, another under its key is refused, a like one is shared', async () => {
  const account = fresh();
  const key = randomUUID();
  const first = await shop.open({ account, key });
  assert.deepEqual(await shop.open({ account, key }), first);
  assert.equal((await shop.open({ account, key, amount: 60n * YUAN })).refusal, 'key_reused');
  await shop.until(first.order_id, (row) => row.handle !== null, 'a handle');
  assert.equal((await shop.open({ account })).order_id, first.order_id);
  assert.notEqual((await shop.open({ account, amount: 60n * YUAN })).order_id, first.order_id);
});

test('a lost notification is made up for by asking', async () => {
  const account = fresh();
  const order = await shop.payable({ account });
  site.channel.pay(order.number, { notify: false });
  await shop.becomes(order.id, 'paid');
  assert.equal(await shop.balance(account), 50n * YUAN);
});

for (const act of ['hang_after', 'drop_after', 'drop_before', 'forge', 'probe', 'garbage', 'unsigned', 'truncate']) {
  test(`create: ${act}; the order becomes payable under its one number`, async () => {
    site.channel.plan({ on: 'create', act });
    const account = fresh();
    const { order_id } = await shop.open({ account });
    const order = await shop.until(order_id, (row) => row.handle !== null, 'a handle', 30_000);
    site.channel.pay(order.number);
    await shop.becomes(order_id, 'paid');
    assert.equal(await shop.balance(account), 50n * YUAN);
    assert.equal(await shop.credits(order), 1n);
  });
}

test('refused by the channel: failed, and never payable', async () => {
  site.channel.plan({ on: 'create', act: 'refuse', status: 403, code: 'RULE_LIMIT', message: 'limited' });
  const { order_id } = await shop.open({ account: fresh() });
  const order = await shop.becomes(order_id, 'failed');
  assert.equal(order.last_code, 'RULE_LIMIT');
  assert.equal(order.next_query_at, null);
});

test('unanswered questions leave an order in doubt, which forbids switching off until an answer comes', async () => {
  const account = fresh();
  const order = await shop.payable({ account });
  site.channel.plan({ on: 'query', number: order.number, act: 'forge', times: 3 });
  await shop.becomes(order.id, 'unknown');
  assert.equal(await shop.switchOffBlock(account), 'payment_unknown');
  await shop.becomes(order.id, 'pending');
  assert.equal(await shop.switchOffBlock(account), null);
});

const expire = (order) => site.stack.query("update payments.payment_order set expires_at = created_at + interval '1 ms', next_query_at = now() where id = $1", [order.id]);

test('what expired is closed at the channel, asked again, and only then closed', async () => {
  const account = fresh();
  const order = await shop.payable({ account });
  await expire(order);
  const closed = await shop.becomes(order.id, 'closed');
  assert.ok(closed.closed_at);
  assert.ok(closed.next_query_at - closed.closed_at > 25 * 3_600_000, 'asked once more the next day');
  assert.equal(site.channel.book.find(order.number).state, 'CLOSED');
  const { rows } = await site.stack.query('select action, result from payments.attempt where order_num = $1 order by num', [order.num]);
  assert.deepEqual(rows.slice(-2).map((row) => row.action), ['close', 'query']);
});

test('paid between the last question and the close: paid', async () => {
  const account = fresh();
  const order = await shop.payable({ account });
  site.channel.pay(order.number, { notify: false });
  await expire(order);
  await shop.becomes(order.id, 'paid');
  assert.equal(await shop.balance(account), 50n * YUAN);
});

test('a close without an answer closes nothing', async () => {
  const order = await shop.payable({ account: fresh() });
  site.channel.plan({ on: 'close', number: order.number, act: 'drop_before', times: 2 });
  await expire(order);
  await shop.becomes(order.id, 'unknown');
  assert.notEqual(site.channel.book.find(order.number).state, 'SUCCESS');
  await shop.becomes(order.id, 'closed');
});

test('paid after it was closed: credited all the same', async () => {
  const account = fresh();
  const order = await shop.payable({ account });
  await expire(order);
  await shop.becomes(order.id, 'closed');
  site.channel.pay(order.number, { force: true });
  await shop.becomes(order.id, 'paid_late');
  await site.channel.settled();
  assert.equal(await shop.balance(account), 50n * YUAN);
});

test('a closed order whose payment nobody told of is found the next day', async () => {
  const account = fresh();
  const order = await shop.payable({ account });
  await expire(order);
  await shop.becomes(order.id, 'closed');
  site.channel.pay(order.number, { force: true, notify: false });
  await site.stack.query('update payments.payment_order set next_query_at = now() where id = $1', [order.id]);
  const late = await shop.becomes(order.id, 'paid_late');
  assert.equal(late.next_query_at, null);
  assert.equal(await shop.balance(account), 50n * YUAN);
});

test('cancelled: closed at the channel before its time', async () => {
  const order = await shop.payable({ account: fresh() });
  assert.equal(await shop.door('select payments.cancel_order($1, $2, $3)', [shop.num, order.id, new Date()]), true);
  await shop.becomes(order.id, 'closed');
  assert.equal(await shop.door('select payments.cancel_order($1, $2, $3)', [shop.num, order.id, new Date()]), false);
});

test('no merchant, no order; a paused merchant takes none but books what was begun', async () => {
  const account = fresh();
  const order = await shop.payable({ account });
  await site.stack.query("update core.merchant set state = 'paused' where company_id = $1", [shop.num]);
  assert.equal((await shop.open({ account, amount: 70n * YUAN })).refusal, 'no_merchant');
  site.channel.pay(order.number);
  await shop.becomes(order.id, 'paid');
  await site.stack.query("update core.merchant set state = 'active' where company_id = $1", [shop.num]);
});

test('the door is shut to whoever is not in the company', async () => {
  const other = await site.company('other');
  await assert.rejects(other.door('select order_id from payments.open_order($1, $2, $3, 10000, $4, $5, $6, $6, $7, $7, $8)', [shop.num, shop.accounts[0].num, shop.accounts[0].purse, 'wechat', 'native', '', 'k', new Date()]), /company of the transaction/);
  assert.equal((await other.open({ account: shop.accounts[0] })).refusal, 'unknown_purse');
  await assert.rejects(other.door('select payments.switch_off_block($1, $2, now())', [other.num, shop.accounts[0].num], 'penstock_control'), /no account/);
});

test('metrics and the ledger agree with all that', async () => {
  assert.ok((await site.payments.metric('penstock_payments_calls_total', { result: 'ok' })) > 0);
  await waitFor(async () => (await site.payments.metric('penstock_payments_overdue')) === 0, { what: 'nothing overdue' });
  await site.verify();
});
