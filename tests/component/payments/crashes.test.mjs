// Killed and frozen at every marked point: each time the whole way, from the order to the settled refund, ends as if nothing
// had happened, with one credit and one refund.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../../support/wait.mjs';
import { QUICK, Site, YUAN } from './site.mjs';

let site;
let shop;
before(async () => {
  site = await Site.start();
  shop = await site.company('shop', { accounts: 60 });
  await site.payments.killNow();
});
after(() => { if (process.env.PAY_LOG) console.log(site.payments.tail().slice(-6000)); return site?.stop(); });

let next = 0;
const refundRow = async (id) => (await site.stack.query('select * from payments.refund where id = $1', [id])).rows[0];

async function ask(order) {
  const id = randomUUID();
  const payload = { refund: id, order: order.id, amount_micro: String(20n * YUAN), requested_by: 'operator:lin', reason: 'x' };
  await site.stack.query(
    `insert into api.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at) values ($1, $2, 'refund-requests', 'refund_requested', 1, 1, $3, now() - interval '1 minute')`,
    [randomUUID(), shop.num, JSON.stringify(payload)]);
  await site.stack.redis('XADD', 'refund-requests', '*', 'e', await site.stack.value('select event_id::text from api.outbox order by created_at desc limit 1'));
  return id;
}

// The process ends or stands still at its point some time on this way; `revive` is called again and again to see to that.
async function wholeWay(revive) {
  const account = shop.accounts[next++];
  const { order_id } = await shop.open({ account });
  const until = (check, what) => waitFor(async () => { await revive(); return check(); }, { what, within_ms: 40_000, every_ms: 50 });
  const order = await until(async () => { const row = await shop.order(order_id); return row.handle ? row : null; }, 'a handle');
  site.channel.pay(order.number);
  await until(async () => (await shop.order(order_id)).state === 'paid', 'paid');
  const id = await ask(order);
  const pending = await until(async () => { const row = await refundRow(id); return row && ['pending', 'settled'].includes(row.state) ? row : null; }, 'the refund accepted');
  site.channel.settleRefund(pending.number);
  await until(async () => (await refundRow(id)).state === 'settled', 'settled');
  assert.equal(await shop.balance(account), 30n * YUAN);
  assert.equal(await shop.credits(order), 1n);
  assert.equal(site.channel.book.find(order.number).refunded_fen, 2000);
  assert.equal(await site.stack.value("select count(*) from payments.outbox where type = 'order_paid' and subject_num = $1", [order.num]), 1n);
  assert.equal(await site.stack.value("select count(*) from payments.outbox where type = 'refund_changed' and payload ->> 'refund' = $1 and payload ->> 'state' = 'settled'", [id]), 1n);
}

const POINTS = ['payments.claimed', 'payments.answered', 'payments.call_before_commit', 'payments.call_after_commit', 'payments.before_commit', 'payments.after_commit',
  'payments.before_answer', 'payments.refund_reserved', 'consumer.before_commit', 'consumer.after_commit', 'payments.refund_answered', 'payments.refund_before_commit',
  'payments.refund_after_commit', 'relay.before_announce', 'relay.before_mark'];
for (const point of POINTS) {
  test(`killed at ${point}`, async () => {
    await site.startService({ PENSTOCK_CRASH_POINT: point });
    let died = 0;
    await wholeWay(async () => {
      if (site.payments.isAlive) return;
      died++;
      await site.startService();
    });
    assert.equal(died, 1, 'the point was passed');
    await site.payments.killNow();
  });
}

// Frozen, its place is taken by a second replica; what the frozen one held is let go by the server.
for (const point of ['payments.claimed', 'payments.answered', 'payments.call_before_commit', 'payments.before_commit', 'payments.before_answer', 'payments.refund_reserved', 'payments.refund_before_commit']) {
  test(`frozen at ${point}, and awake again later`, async () => {
    const frozen = await site.startService({ PENSTOCK_CRASH_POINT: `${point}:1:stop` });
    const second = await site.stack.spawnService('payments', { ...QUICK, PENSTOCK_PAYMENTS_NOTIFY_URL: `http://127.0.0.1:${site.payments.ports.http}` });
    await second.ready();
    await wholeWay(async () => {});
    process.kill(frozen.process.pid, 'SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await second.killNow();
    await frozen.killNow();
  });
}

test('the books are right after all that', async () => {
  await site.verify();
  assert.equal(await site.stack.value('select count(*) from payments.suspense'), 0n);
});
