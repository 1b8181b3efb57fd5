// Refunds: reserved before they are sent, settled or released by what the channel says, never twice, never more than unused.
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
after(() => { if (process.env.PAY_LOG) console.log(site.payments.tail().slice(-3000)); return site?.stop(); });

let next = 0;
async function paidOrder(amount = 50n * YUAN) {
  const account = shop.accounts[next++];
  const order = await shop.payable({ account, amount });
  site.channel.pay(order.number);
  await shop.becomes(order.id, 'paid');
  return { order, account };
}

// As the api asks for a refund: an event in its outbox.
async function request({ order }, amount, { id = randomUUID(), of = order.id } = {}) {
  const payload = { refund: id, order: of, amount_micro: String(amount), requested_by: 'operator:lin', reason: 'moved out' };
  const event = randomUUID();
  await site.stack.query(
    `insert into api.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at) values ($1, $2, 'refund-requests', 'refund_requested', 1, 1, $3, now())`,
    [event, shop.num, JSON.stringify(payload)]);
  await site.stack.redis('XADD', 'refund-requests', '*', 'e', event);
  return id;
}

const row = async (id) => (await site.stack.query('select * from payments.refund where id = $1', [id])).rows[0];
const becomes = (id, state, within_ms = 15_000) =>
  waitFor(async () => { const one = await row(id); return one?.state === state ? one : null; }, { what: `refund ${state}`, within_ms }).catch(async (error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(await row(id), (_, value) => (typeof value === 'bigint' ? String(value) : value))}`);
  });
const ended = (id, state) => site.stack.value("select count(*) from payments.outbox where type = 'refund_changed' and payload ->> 'refund' = $1 and payload ->> 'state' = $2", [id, state]);
const atChannel = (one) => [...site.channel.book.refunds.values()].filter((refund) => refund.out_refund_no === one.number);

test('accepted, then settled by its notification; the purse was debited before', async () => {
  const one = await paidOrder();
  const id = await request(one, 20n * YUAN);
  const pending = await becomes(id, 'pending');
  assert.equal(await shop.balance(one.account), 30n * YUAN);
  site.channel.settleRefund(pending.number);
  await becomes(id, 'settled');
  await site.channel.settled();
  assert.equal(await shop.balance(one.account), 30n * YUAN);
  assert.equal(await ended(id, 'settled'), 1n);
});

test('settled by asking when no notification comes', async () => {
  const one = await paidOrder();
  const id = await request(one, 20n * YUAN);
  const pending = await becomes(id, 'pending');
  site.channel.settleRefund(pending.number, 'SUCCESS', { notify: false });
  await site.stack.query('update payments.refund set next_query_at = now() where id = $1', [id]);
  await becomes(id, 'settled');
});

for (const act of ['hang_after', 'drop_after', 'drop_before', 'forge', 'garbage', 'probe']) {
  test(`${act}: sent again under the same number, refunded once`, async () => {
    const one = await paidOrder();
    site.channel.plan({ on: 'refund', act });
    const id = await request(one, 20n * YUAN);
    const pending = await becomes(id, 'pending', 30_000);
    assert.equal(atChannel(pending).length, 1);
    assert.equal(site.channel.book.find(one.order.number).refunded_fen, 2000);
    assert.equal(await shop.balance(one.account), 30n * YUAN);
  });
}

test('58: told of before the call returned: settled once', async () => {
  const one = await paidOrder();
  site.channel.plan({ on: 'refund', act: 'hang_after' });
  const id = await request(one, 20n * YUAN);
  const sent = await waitFor(async () => { const r = await row(id); return r && atChannel(r).length === 1 ? r : null; }, { what: 'the channel has it' });
  site.channel.settleRefund(sent.number);
  await becomes(id, 'settled');
  assert.equal(await shop.balance(one.account), 30n * YUAN);
});

test('59: closed by the channel: the purse has it back; another attempt is another refund', async () => {
  const one = await paidOrder();
  const id = await request(one, 20n * YUAN);
  const pending = await becomes(id, 'pending');
  site.channel.settleRefund(pending.number, 'CLOSED');
  await becomes(id, 'failed');
  await site.channel.settled();
  assert.equal(await shop.balance(one.account), 50n * YUAN);
  assert.equal(await ended(id, 'failed'), 1n);
  await site.stack.query("update payments.refund set created_at = created_at - interval '2 minutes' where id = $1", [id]);
  const again = await request(one, 20n * YUAN);
  site.channel.settleRefund((await becomes(again, 'pending')).number);
  await becomes(again, 'settled');
  assert.equal(await shop.balance(one.account), 30n * YUAN);
});

test('57: abnormal is not failed: the money is gone, a person is needed', async () => {
  const one = await paidOrder();
  const id = await request(one, 20n * YUAN);
  site.channel.settleRefund((await becomes(id, 'pending')).number, 'ABNORMAL');
  const open = await becomes(id, 'abnormal');
  assert.ok(open.next_query_at);
  assert.equal(await shop.balance(one.account), 30n * YUAN);
});

test('refused outright: released', async () => {
  const one = await paidOrder();
  site.channel.plan({ on: 'refund', act: 'refuse', status: 403, code: 'RULE_LIMIT', message: 'no' });
  const id = await request(one, 20n * YUAN);
  await becomes(id, 'failed');
  assert.equal(await shop.balance(one.account), 50n * YUAN);
});

test('no funds at the merchant: it stays reserved and is tried again', async () => {
  const one = await paidOrder();
  site.channel.plan({ on: 'refund', act: 'refuse', status: 403, code: 'NOT_ENOUGH', message: 'no money', times: 2 });
  const id = await request(one, 20n * YUAN);
  await waitFor(async () => (await row(id))?.last_result === 'no_funds', { what: 'no funds' });
  assert.equal((await row(id)).state, 'reserved');
  await becomes(id, 'pending');
  assert.equal(await shop.balance(one.account), 30n * YUAN);
});

const REFUSED = [
  ['more than was paid', async (one) => request(one, 60n * YUAN), 'over_paid_amount'],
  ['a fraction of a fen', async (one) => request(one, 1n), 'amount'],
  ['more than is unused', async (one) => {
    await site.stack.query('update billing.purse set balance_micro = 10000000 where num = $1', [one.account.purse]);
    const id = await request(one, 20n * YUAN);
    await becomes(id, 'refused');
    await site.stack.query('update billing.purse set balance_micro = 50000000 where num = $1', [one.account.purse]);
    return id;
  }, 'not_enough_credit'],
];
for (const [what, ask, reason] of REFUSED) {
  test(`refused: ${what}`, async () => {
    const one = await paidOrder();
    const id = await ask(one);
    assert.equal((await becomes(id, 'refused')).last_code, reason);
    assert.equal(await shop.balance(one.account), 50n * YUAN);
    assert.equal(await ended(id, 'refused'), 1n);
  });
}

test('refused: an order that is not paid, and one that does not exist', async () => {
  const account = shop.accounts[next++];
  const order = await shop.payable({ account });
  const id = await request({ order }, YUAN);
  assert.equal((await becomes(id, 'refused')).last_code, 'not_paid');
  const nowhere = await request({ order }, YUAN, { of: randomUUID() });
  await waitFor(async () => (await ended(nowhere, 'refused')) === 1n, { what: 'told' });
});

test('pending refunds count: the sum never passes what was paid', async () => {
  const one = await paidOrder();
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push(await request(one, 20n * YUAN));
  await waitFor(async () => (await Promise.all(ids.map(row))).every((r) => r), { what: 'all looked at' });
  const states = (await Promise.all(ids.map(row))).map((r) => r.state);
  assert.equal(states.filter((state) => state === 'refused').length, 2, String(states));
  assert.equal(await shop.balance(one.account), 10n * YUAN);
});

test('the same request twice is one refund', async () => {
  const one = await paidOrder();
  const id = randomUUID();
  await request(one, 20n * YUAN, { id });
  await request(one, 20n * YUAN, { id });
  await becomes(id, 'pending');
  assert.equal(await site.stack.value('select count(*) from payments.refund where id = $1', [id]), 1n);
  assert.equal(await shop.balance(one.account), 30n * YUAN);
});

test('55: a refund made at the channel’s own console is imported, once, and alarmed', async () => {
  const one = await paidOrder();
  const booked = site.channel.book.find(one.order.number);
  const refund = site.channel.book.refund(booked.merchant, { out_trade_no: booked.out_trade_no, out_refund_no: 'console0001', amount: { refund: 1000, total: 5000, currency: 'CNY' } });
  site.channel.book.settle(refund, 'SUCCESS');
  refund.notify_url = booked.notify_url;
  await site.channel.notifyRefund(refund);
  await site.channel.notifyRefund(refund);
  const held = (await shop.suspense()).filter((each) => each.reason === 'external_refund');
  assert.equal(held.length, 1);
  assert.equal(held[0].is_received, false);
  assert.equal(held[0].amount_micro, 10n * YUAN);
  assert.equal(await shop.balance(one.account), 50n * YUAN);
  assert.equal((await shop.order(one.order.id)).state, 'paid');
  // A person found out that it was agreed upon: settled outside.
  assert.equal(await shop.door('select payments.decide_suspense($1, $2, null, $3, $4, $5)', [shop.num, held[0].id, 'operator:lin', 'agreed with the shop', new Date()]), true);
  await waitFor(async () => (await shop.suspense()).find((each) => each.id === held[0].id).state === 'returned', { what: 'returned' });
});

test('56: more refunded than asked for: in suspense, nothing silently negative', async () => {
  const one = await paidOrder();
  const id = await request(one, 20n * YUAN);
  const pending = await becomes(id, 'pending');
  const refund = atChannel(pending)[0];
  site.channel.book.settle(refund, 'SUCCESS');
  site.channel.plan({ on: 'notify', number: pending.number, act: 'change', changes: { amount: { refund: 4000, payer_refund: 4000 } } });
  await site.channel.notifyRefund(refund);
  assert.ok((await shop.suspense()).some((each) => each.reason === 'refund_mismatch' && each.amount_micro === 40n * YUAN));
  assert.equal(await shop.balance(one.account), 30n * YUAN);
});

test('a refund leaves from the merchant that received, after another took its place', async () => {
  const one = await paidOrder();
  const first = shop.merchant;
  const second = await shop.setMerchant();
  await site.knows(shop);
  const id = await request(one, 20n * YUAN);
  await becomes(id, 'pending');
  assert.equal(site.channel.requests.findLast((each) => each.on === 'refund').mchid, first.mchid);
  const account = shop.accounts[next++];
  const order = await shop.payable({ account });
  assert.equal(site.channel.book.find(order.number).merchant.mchid, second.mchid);
});

test('the books are right after all that', () => site.verify());
