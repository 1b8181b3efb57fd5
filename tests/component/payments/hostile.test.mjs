// A channel at its worst: orders whose answers are lost or forged, notifications in many copies at once, replayed, forged,
// stale, late, lost, of other amounts. 500 orders with 20 copies each; with PENSTOCK_TEST_LONG 10 000 with 100.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { get } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import { Site } from './site.mjs';

const LONG = Boolean(process.env.PENSTOCK_TEST_LONG);
const ORDERS = Number(process.env.PENSTOCK_TEST_ORDERS ?? (LONG ? 10_000 : 500));
const COPIES = Number(process.env.PENSTOCK_TEST_COPIES ?? (LONG ? 100 : 20));
const SEED = Number(process.env.PENSTOCK_TEST_SEED ?? Date.now() % 1_000_000);
const AT_ONCE = 48;

let state = SEED;
const random = () => ((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648);
const pick = (items) => items[Math.floor(random() * items.length)];

let site;
let shop;
before(async () => {
  site = await Site.start({ env: { PENSTOCK_PAYMENTS_QUERY_AFTER_MS: '3000', PENSTOCK_PAYMENTS_LEASE_MS: '5000', PENSTOCK_PAYMENTS_CALLERS: '8' } });
  shop = await site.company('shop', { accounts: Math.ceil(ORDERS / 10) });
  console.log(`seed ${SEED}, ${ORDERS} orders, ${COPIES} copies`);
});
after(() => { if (process.env.PAY_LOG) console.log(site.payments.tail().slice(-6000)); return site?.stop(); });

async function openAll() {
  const client = await site.stack.connect({ user: 'penstock_api' });
  await client.query("select set_config('app.company', $1, false)", [String(shop.num)]);
  for (let i = 0; i < ORDERS; i++) {
    if (random() < 0.1) site.channel.plan({ on: 'create', act: pick(['drop_after', 'drop_before', 'forge', 'probe', 'garbage', 'unsigned']) });
    if (random() < 0.1) site.channel.plan({ on: 'query', act: pick(['drop_before', 'forge', 'garbage']) });
    const account = shop.accounts[i % shop.accounts.length];
    await client.query("select payments.open_order($1, $2, $3, $4, 'wechat', 'native', '', '', 'Electricity', $5, now())", [shop.num, account.num, account.purse, 1_000_000 + i * 10_000, String(i)]);
  }
  await client.end();
}

// Runs `AT_ONCE` of the works at a time.
async function all(works) {
  let at = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (at < works.length) await works[at++](); }));
}

test('nothing is lost and nothing is credited twice', async () => {
  await openAll();
  const orders = await waitFor(async () => {
    const { rows } = await site.stack.query("select num, id, number, amount_micro, purse_num from payments.payment_order where handle is not null order by num");
    return rows.length === ORDERS ? rows : null;
  }, { what: 'all payable', within_ms: 60_000 + ORDERS * 50, every_ms: 200 });
  site.channel.plans = [];
  const works = [];
  const expected = { lost: 0, wrong: 0, unpaid: 0 };
  const wrong = new Set();
  const unpaid = new Set();
  for (const order of orders) {
    const fate = random();
    if (fate < 0.05) { unpaid.add(order.number); expected.unpaid++; continue; }
    site.channel.pay(order.number, { notify: false });
    const booked = site.channel.book.find(order.number);
    if (fate < 0.12) { expected.lost++; continue; }
    const make = (plan) => site.channel.makeNotification(shop.merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: site.channel.book.describe(booked), plan });
    const isWrong = fate < 0.17;
    if (isWrong) { wrong.add(order.number); expected.wrong++; }
    const change = isWrong ? { act: 'change', changes: { amount: { total: booked.amount.total + 1 } } } : { act: 'obey' };
    const variants = [make(change), make(change), ...(isWrong ? [] : [make({ act: 'forge' }), make({ act: 'stale', seconds: -400 }), make({ act: 'change', changes: { mchid: '1999999999' } })])];
    for (let copy = 0; copy < COPIES; copy++) {
      const made = copy < 2 ? variants[copy] : pick(variants);
      works.push(() => get(shop.notifyUrl(), { method: 'POST', headers: made.headers, body: made.body, within_ms: 30_000 }).then((answer) => assert.ok([200, 401].includes(answer.status), String(answer.status))));
    }
  }
  works.sort(() => random() - 0.5);
  const began = performance.now();
  await all(works);
  console.log(`${works.length} notifications in ${Math.round(performance.now() - began)} ms`);
  const paid = ORDERS - expected.unpaid - expected.wrong;
  // The schedule's next question, now: waiting for it would prove nothing more.
  await site.stack.query("update payments.payment_order set next_query_at = now() where state in ('pending', 'unknown')");
  await waitFor(async () => (await site.stack.value("select count(*) from payments.payment_order where state not in ('paid', 'failed')")) <= BigInt(expected.unpaid), { what: `${paid} paid, and the wrong ones decided`, within_ms: 30_000 + ORDERS * 20, every_ms: 250 }).catch(async (error) => {
    const { rows } = await site.stack.query("select o.state, o.step, o.next_query_at - now() as due, o.last_result, o.last_code, count(*), min(number) from payments.payment_order o where state <> 'paid' group by 1, 2, 3, 4, 5 order by 6 desc limit 20");
    throw new Error(`${error.message}\n${JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value))}`);
  });

  const { rows } = await site.stack.query(
    `select o.number, o.state, o.amount_micro, coalesce(sum(t.amount_micro), 0)::bigint as credited, count(t.id) as credits
     from payments.payment_order o left join billing.transfer t on t.kind = 3 and t.source_num = o.num group by o.company_id, o.num`);
  // Of an order with a notification of another amount the channel's own answer may have come first: then that one counts.
  const isPaid = (row) => !unpaid.has(row.number) && !(wrong.has(row.number) && row.state === 'failed');
  for (const row of rows) {
    assert.equal(row.credits, isPaid(row) ? 1n : 0n, row.number);
    assert.equal(row.credited, isPaid(row) ? row.amount_micro : 0n, row.number);
    assert.equal(row.state === 'paid', isPaid(row), row.number);
  }
  const held = await shop.suspense();
  assert.deepEqual(new Set(held.map((row) => row.order_number)), new Set(rows.filter((row) => row.state === 'failed').map((row) => row.number)));
  assert.equal(held.length, new Set(held.map((row) => row.order_number)).size);
  assert.ok(held.every((row) => row.reason === 'amount_mismatch'));
  assert.ok(held.length > 0 || wrong.size === 0);
  assert.equal(await site.stack.value("select sum(balance_micro)::bigint from billing.purse"), rows.reduce((sum, row) => sum + row.credited, 0n));
  await site.verify();
});
