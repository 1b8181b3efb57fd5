// What every provider must do, whatever its channel: run for each line of providers.def against its counterpart. Money is
// never told to be where it is not, no failure is mistaken for a refusal, and repeating is always safe.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { COUNTERPARTS, newNumber } from './counterparts.mjs';
import { Driver } from './driver.mjs';

const DEF = new URL('../../../../services/payments/src/providers/providers.def', import.meta.url);
const NAMES = [...readFileSync(DEF, 'utf8').matchAll(/^PROVIDER\(\w+, "(\w+)"\)/gm)].map((match) => match[1]);

test('each provider has a counterpart, and each counterpart a provider', () => {
  assert.ok(NAMES.length > 0);
  assert.deepEqual(Object.keys(COUNTERPARTS).sort(), [...NAMES].sort());
});

for (const name of NAMES) {
  describe(`provider ${name}`, { timeout: 120_000 }, () => {
    let driver;
    let side;
    let traits;

    const order = (members = {}) => {
      const product = members.product ?? 'native';
      const amount_micro = members.amount_micro ?? side.smallest_micro * 12345;
      return { number: newNumber(), product, created_at: Date.now(), expires_at: Date.now() + 600_000, amount_micro, currency: side.currency, description: '电费充值', ...side.orders[product], ...members };
    };
    const create = (one) => driver.ask('create', { order: one });
    const query = (one) => driver.ask('query', { order: one });
    const close = (one) => driver.ask('close', { order: one });
    const paid = async (members) => {
      const one = order(members);
      assert.equal((await create(one)).result, 'ok');
      side.pay(one.number);
      return one;
    };
    const read = (notice, members = {}) => driver.ask('notification', { ...notice, ...members });

    before(async () => {
      side = await COUNTERPARTS[name]();
      driver = await Driver.start();
      traits = (await driver.ask('traits')).providers.find((one) => one.name === name);
      const opened = await driver.ask('open', side.settings);
      assert.equal(opened.fault, undefined, JSON.stringify(opened.fault));
    });
    after(async () => {
      await driver?.stop();
      await side?.stop();
    });

    test('each product it offers gives a handle that the payer can use, valid no longer than the order', async () => {
      const kinds = { native: ['qr'], jsapi: ['parameters'], h5: ['url', 'form'] };
      assert.ok(traits.products.length > 0);
      for (const product of traits.products) {
        const one = order({ product, expires_at: Date.now() + 120_000 });
        const { result, handle } = await create(one);
        assert.equal(result, 'ok', product);
        assert.ok(kinds[product].includes(handle.kind), `${product}: ${handle.kind}`);
        assert.ok(handle.text.length > 0 && handle.valid_to <= one.expires_at && handle.valid_to > Date.now());
      }
    });

    test('creating the same order again gives a handle again, and one order', async () => {
      const one = order();
      assert.equal((await create(one)).result, 'ok');
      assert.equal((await create(one)).result, 'ok');
      side.pay(one.number);
      assert.equal((await create(one)).result, 'paid');
      const { fact } = await query(one);
      assert.equal(fact.state, 'paid');
      assert.equal(fact.amount_micro, one.amount_micro);
    });

    test('the same number with other content never replaces the order', async () => {
      const one = order();
      await create(one);
      const { result } = await create({ ...one, amount_micro: one.amount_micro + side.smallest_micro });
      assert.ok(['misconfigured', 'refused', 'unknown'].includes(result), result);
      side.pay(one.number);
      assert.equal((await query(one)).fact.amount_micro, one.amount_micro);
    });

    test('an order is unpaid, then paid with its channel id, merchant and time; a refund leaves it paid', async () => {
      const one = order();
      await create(one);
      assert.equal((await query(one)).fact.state, 'unpaid');
      side.pay(one.number);
      const { result, fact } = await query(one);
      assert.equal(result, 'ok');
      assert.deepEqual([fact.kind, fact.state, fact.order_number, fact.amount_micro, fact.currency, fact.is_of_merchant, fact.has_refund], ['payment', 'paid', one.number, one.amount_micro, side.currency, true, false]);
      assert.ok(fact.channel_id.length > 0);
      assert.ok(Math.abs(fact.happened_at - Date.now()) < 60_000);
      await driver.ask('refund', { order: { ...one, channel_id: fact.channel_id }, refund: { number: newNumber('R'), amount_micro: side.smallest_micro } });
      const later = (await query(one)).fact;
      assert.deepEqual([later.state, later.has_refund, later.amount_micro], ['paid', true, one.amount_micro]);
    });

    test('what the channel does not know is not found', async () => {
      assert.equal((await query(order())).result, 'not_found');
      assert.equal((await close(order())).result, 'not_found');
    });

    test('close: closed once and again, too late once paid, and a closed order takes no new handle', async () => {
      const one = order();
      await create(one);
      assert.equal((await close(one)).result, 'ok');
      assert.equal((await close(one)).result, 'ok');
      assert.equal((await query(one)).fact.state, 'closed');
      assert.equal((await create(one)).result, 'closed');
      assert.equal((await close(await paid())).result, 'paid');
    });

    test('amounts that the channel cannot express, and orders that have expired, are refused before anything is sent', async () => {
      const before = side.channel.requests.length;
      for (const members of [{ amount_micro: side.smallest_micro + 1 }, { amount_micro: 0 }, { amount_micro: -side.smallest_micro }, { currency: 'USD' }, { expires_at: Date.now() - 1 }, { number: 'x/../y1' }, { description: '' }])
        assert.equal((await create(order(members))).result, 'refused', JSON.stringify(members));
      assert.equal(side.channel.requests.length, before);
    });

    test('a refund is accepted, repeated without a second refund, then settled; the rest bounds the sum', async () => {
      const one = await paid({ amount_micro: side.smallest_micro * 100 });
      const refund = { number: newNumber('R'), amount_micro: side.smallest_micro * 60, reason: '退电' };
      const ask = (what, r) => driver.ask(what, { order: one, refund: r });
      const first = await ask('refund', refund);
      assert.deepEqual([first.result, first.fact.kind, first.fact.state, first.fact.amount_micro, first.fact.order_micro], ['ok', 'refund', 'refund_pending', refund.amount_micro, one.amount_micro]);
      const second = await ask('refund', refund);
      assert.deepEqual([second.result, second.fact.refund_channel_id], ['ok', first.fact.refund_channel_id]);
      side.settleRefund(refund.number, 'refunded');
      const settled = await ask('query_refund', refund);
      assert.deepEqual([settled.result, settled.fact.state, settled.fact.refund_number], ['ok', 'refunded', refund.number]);
      assert.ok(settled.fact.happened_at > 0);
      assert.equal((await ask('refund', { number: newNumber('R'), amount_micro: side.smallest_micro * 41 })).result, 'refused');
      assert.equal((await ask('query_refund', { number: newNumber('R'), amount_micro: 1 * side.smallest_micro })).result, 'not_found');
      assert.equal((await ask('refund', { number: newNumber('R'), amount_micro: one.amount_micro + side.smallest_micro })).result, 'refused');
    });

    test('refunds that end closed or abnormal are told apart, and an empty balance is none of them', async () => {
      for (const state of ['refund_closed', 'refund_abnormal']) {
        const one = await paid();
        const refund = { number: newNumber('R'), amount_micro: one.amount_micro };
        await driver.ask('refund', { order: one, refund });
        side.settleRefund(refund.number, state);
        assert.equal((await driver.ask('query_refund', { order: one, refund })).fact.state, state);
      }
      const one = await paid();
      side.emptyBalance();
      assert.equal((await driver.ask('refund', { order: one, refund: { number: newNumber('R'), amount_micro: one.amount_micro } })).result, 'no_funds');
      side.fillBalance();
    });

    test('an answer about another amount than the refund asked for is unknown', async () => {
      const one = await paid();
      const refund = { number: newNumber('R'), amount_micro: one.amount_micro };
      await driver.ask('refund', { order: one, refund });
      assert.equal((await driver.ask('query_refund', { order: one, refund: { ...refund, amount_micro: refund.amount_micro - side.smallest_micro } })).result, 'unknown');
    });

    // Whatever goes wrong on the way, the order was created exactly when the channel says so, and nothing is told but "unknown".
    for (const act of ['hang_before', 'hang_after', 'drop_before', 'drop_after', 'forge', 'probe', 'unsigned', 'garbage', 'truncate', 'unknown_serial', 'own_serial']) {
      test(`${act} on create, query, close and refund is unknown, and repeating heals it`, async () => {
        // A request whose kept connection breaks is sent again, so what breaks connections must do so twice.
        const times = act.startsWith('drop') ? 2 : 1;
        const hangs = act.startsWith('hang');
        const misbehaving = async (plan, ask) => {
          if (hangs) await driver.ask('http', { total_timeout_ms: 500 });
          side.plan({ act, times, ...plan });
          const answer = await ask();
          side.channel.plans = [];
          if (hangs) await driver.ask('http', { total_timeout_ms: 10_000 });
          return answer;
        };
        const one = order();
        const first = await misbehaving({ on: 'create', number: one.number }, () => create(one));
        assert.deepEqual([first.result, first.handle], ['unknown', undefined]);
        assert.equal((await create(one)).result, 'ok');
        const asked = await misbehaving({ on: 'query' }, () => query(one));
        assert.deepEqual([asked.result, asked.fact], ['unknown', undefined]);
        assert.equal((await query(one)).fact.state, 'unpaid');
        side.pay(one.number);
        const refund = { number: newNumber('R'), amount_micro: one.amount_micro };
        const refunded = await misbehaving({ on: 'refund', number: refund.number }, () => driver.ask('refund', { order: one, refund }));
        assert.equal(refunded.result, 'unknown');
        assert.equal((await driver.ask('refund', { order: one, refund })).result, 'ok');
        const other = order();
        await create(other);
        const closed = await misbehaving({ on: 'close' }, () => close(other));
        // A close has an empty answer: there is nothing in it to spoil.
        if (act !== 'garbage' && act !== 'truncate') assert.equal(closed.result, 'unknown');
        assert.equal((await close(other)).result, 'ok');
      });
    }

    test('a channel that cannot be reached was not asked', async () => {
      await driver.ask('open', { ...side.settings, base_url: 'http://127.0.0.1:9' });
      for (const answer of [await create(order()), await query(order()), await close(order())]) assert.deepEqual([answer.result, answer.http_status], ['retry_later', 0]);
      await driver.ask('open', { ...side.settings, base_url: 'http://127.0.0.1:9', standby_url: side.settings.base_url });
      assert.equal((await create(order())).result, 'ok');
      await driver.ask('open', side.settings);
    });

    test('a notification is a fact: the same as the query tells', async () => {
      const one = await paid();
      const told = await read(side.notice(one.number));
      const asked = await query(one);
      assert.deepEqual([told.notice, told.status, told.status_if_not_stored >= 500], ['fact', 200, true]);
      assert.ok(told.event_id.length > 0 && told.plaintext.includes(one.number));
      assert.deepEqual(told.fact, asked.fact);
    });

    test('a repeated notification has the same event id under fresh bytes', async () => {
      const one = await paid();
      const id = 'EV-2018022511223320873';
      const [first, second] = [side.notice(one.number, undefined, id), side.notice(one.number, undefined, id)];
      assert.notEqual(first.body_base64, second.body_base64);
      assert.equal((await read(first)).event_id, id);
      assert.equal((await read(second)).event_id, id);
    });

    test('refund notifications tell settled, closed and abnormal', async () => {
      for (const state of ['refunded', 'refund_closed', 'refund_abnormal']) {
        const one = await paid();
        const refund = { number: newNumber('R'), amount_micro: one.amount_micro };
        await driver.ask('refund', { order: one, refund });
        side.settleRefund(refund.number, state);
        const { notice, fact } = await read(side.refundNotice(refund.number));
        assert.deepEqual([notice, fact.state, fact.refund_number, fact.amount_micro, fact.order_number, fact.is_of_merchant], ['fact', state, refund.number, refund.amount_micro, one.number, true]);
      }
    });

    test('what is forged, changed, stale or of somebody else is never a fact and never a success', async () => {
      const one = await paid();
      const good = side.notice(one.number);
      const body = Buffer.from(good.body_base64, 'base64');
      assert.equal((await read(good)).notice, 'fact');
      for (let i = 0; i < body.length; i += 7) {
        const changed = Buffer.from(body);
        changed[i] ^= 1 << i % 8;
        const { notice, status } = await read({ ...good, body_base64: changed.toString('base64') });
        assert.deepEqual([notice, status], ['unauthentic', 401], `byte ${i}`);
      }
      for (const spoiled of [Buffer.concat([body, Buffer.from(' ')]), body.subarray(0, -1), Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), body])])
        assert.equal((await read({ ...good, body_base64: spoiled.toString('base64') })).status, 401);
      for (const name of Object.keys(good.headers)) {
        const { [name]: _, ...headers } = good.headers;
        const { notice, status } = await read({ ...good, headers });
        if (/signature-type|content-type/i.test(name)) assert.equal(notice, 'fact');
        else assert.ok(status >= 400, name);
      }
      assert.notEqual((await read(side.foreignNotice(one.number))).status, 200);
      for (const act of ['forge', 'probe', 'unsigned', 'unknown_serial', 'own_serial', 'other_key']) {
        const { notice, status, fact } = await read(side.notice(one.number, { act }));
        assert.ok(status >= 400 && notice !== 'fact' && notice !== 'ask', act);
        assert.equal(fact.order_number, '', act);
      }
    });
  });
}
