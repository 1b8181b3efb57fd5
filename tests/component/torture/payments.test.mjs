// The k-th database operation of the payments service loses its connection, before the server saw it or after it took effect:
// from the order to the settled refund nothing is lost and nothing happens twice.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../../support/wait.mjs';
import { Site, YUAN } from '../payments/site.mjs';

const BUDGET_MS = process.env.PENSTOCK_TEST_LONG ? 300_000 : 25_000; // of each way to fail
const STRIDE = 7;

let site;
let shop;
before(async () => {
  site = await Site.start({ env: { PENSTOCK_PAYMENTS_QUERY_AFTER_MS: '200', PENSTOCK_PAYMENTS_LEASE_MS: '1000', PENSTOCK_PAYMENTS_CALLERS: '1', PENSTOCK_PAYMENTS_COMMITTERS: '1' } });
  shop = await site.company('shop', { accounts: 120 });
  await site.payments.killNow();
});
after(() => site?.stop());

let next = 0;
const met = (service) => /closed the connection|cut by the test|UNAVAILABLE|UNCERTAIN/.test(service.output);

async function attempt(fail) {
  await site.startService(fail ? { PENSTOCK_DB_FAIL: fail } : {});
  const account = shop.accounts[next++];
  const until = (check, what) => waitFor(check, { what: `${what} with ${fail}`, within_ms: 30_000, every_ms: 40 });
  const { order_id } = await shop.open({ account });
  const order = await until(async () => { const row = await shop.order(order_id); return row.handle ? row : null; }, 'a handle');
  site.channel.pay(order.number);
  await until(async () => (await shop.order(order_id)).state === 'paid', 'paid');
  await site.channel.settled();
  const id = randomUUID();
  const event = randomUUID();
  await site.stack.query(
    `insert into api.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at) values ($1, $2, 'refund-requests', 'refund_requested', 1, 1, $3, now() - interval '1 minute')`,
    [event, shop.num, JSON.stringify({ refund: id, order: order.id, amount_micro: String(20n * YUAN), requested_by: 'operator:lin', reason: 'x' })]);
  await site.stack.redis('XADD', 'refund-requests', '*', 'e', event);
  const refund = async () => (await site.stack.query('select * from payments.refund where id = $1', [id])).rows[0];
  const pending = await until(async () => { const row = await refund(); return row?.state === 'pending' ? row : null; }, 'accepted');
  site.channel.settleRefund(pending.number);
  await until(async () => (await refund()).state === 'settled', 'settled');
  await site.channel.settled();
  assert.equal(await shop.balance(account), 30n * YUAN, fail);
  assert.equal(await shop.credits(order), 1n, fail);
  assert.equal(site.channel.book.find(order.number).refunded_fen, 2000, fail);
  assert.ok(site.payments.isAlive, site.payments.tail());
  const reached = met(site.payments);
  await site.payments.killNow();
  return reached;
}

test('an undisturbed run', async () => assert.equal(await attempt(), false));

for (const when of ['before', 'after']) {
  test(`the k-th database operation fails, cut off ${when} it`, async (t) => {
    const deadline = Date.now() + BUDGET_MS;
    let count = 0;
    let reached = 0;
    for (let k = 1 + Math.floor(Math.random() * STRIDE); Date.now() < deadline && next < shop.accounts.length - 1; k += process.env.PENSTOCK_TEST_LONG ? 1 : STRIDE) {
      const got = await attempt(`${k}:${when}`);
      count++;
      reached += got;
      if (!got && k > 150) break; // past the last operation of a run
    }
    t.diagnostic(`${count} runs, ${reached} met their failure`);
    assert.ok(reached >= 3);
  });
}

test('the books are right after all that', async () => {
  await site.verify();
  assert.equal(await site.stack.value('select count(*) from payments.suspense'), 0n);
});
