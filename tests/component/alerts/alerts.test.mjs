// Facts become messages: once, to the right people, by the first way that works, and never blindly twice.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { FakeAliyunSms } from '../../fakes/aliyun_sms.mjs';
import { FakeWebhookReceiver } from '../../fakes/webhook_receiver.mjs';
import { seal } from '../../support/seal.mjs';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Site } from '../billing/site.mjs';

let stack, sms, hooks, folder, alerts;
let siteCount = 0;
const secret = `whsec_${randomBytes(32).toString('base64')}`;
const ENV = { PENSTOCK_ALERTS_WEBHOOK_ALLOW_PRIVATE: 'true' };

before(async () => {
  stack = await startStack({ exclusive: true });
  sms = await FakeAliyunSms.start();
  hooks = await FakeWebhookReceiver.start(secret);
  folder = mkdtempSync(path.join(tmpdir(), 'penstock-alerts-'));
  alerts = await stack.spawnService('alerts', ENV);
  await alerts.ready();
});
after(async () => {
  try {
    await stack?.stop();
  } finally {
    await Promise.all([sms?.stop(), hooks?.stop()]);
    if (folder) rmSync(folder, { recursive: true });
  }
});
beforeEach(() => {
  for (const fake of [sms, hooks]) Object.assign(fake, { taken: [], orders: [], refused: fake === sms ? [] : 0 });
});

const configFile = (name, config) => {
  const file = path.join(folder, name);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
};

// A company with one customer, who has a phone and a webhook, and both channels set up.
async function makeSite({ points = 1, cap } = {}) {
  const site = await Site.make(stack, { code: `alert-${++siteCount}` });
  await site.addPoints(points);
  const channel = async (kind, provider, config, more = []) => {
    const { code, stdout, stderr } = await stack.ctl(['channel', 'set', '--company', `alert-${siteCount}`, '--channel', kind, '--provider', provider, '--config', configFile(`${kind}.json`, config), ...more]);
    assert.equal(code, 0, stderr);
    return /receipts\s+(\S+)/.exec(stdout)[1];
  };
  site.receiptPath = await channel('sms', 'aliyun', sms.config(), ['--cost', '0.05', ...(cap ? ['--month-cap', cap] : [])]);
  await channel('webhook', 'standard', { secrets: [secret] });
  site.customer = await stack.value('select g.customer_num from core.account a join core.agreement g on g.company_id = a.company_id and g.num = a.agreement_num where a.company_id = $1 limit 1', [site.company]);
  for (const kind of ['alarm_1', 'alarm_2', 'arrears', 'top_up', 'switched_off', 'switched_on', 'overload', 'login_code'])
    await stack.query("insert into core.message_template (company_id, kind, channel, locale, provider_template, parameters) values ($1, $2, 'sms', 'zh-CN', $3, $4)", [site.company, kind, `SMS_${kind}`, kind === 'login_code' ? ['code'] : ['room', 'amount']]);
  await stack.query("insert into core.alert_rule (company_id, kind, chain) select $1, k, '{sms,webhook}' from unnest($2::text[]) k", [site.company, ['alarm_1', 'alarm_2', 'arrears', 'top_up', 'switched_off', 'switched_on']]);
  site.phone = `138${String(10_000_000 + siteCount * 1000 + Math.floor(Math.random() * 999)).slice(-8)}`;
  await contact(site, 'sms', site.phone);
  await contact(site, 'webhook', hooks.url);
  site.account = await stack.value('select num from core.account where company_id = $1 order by num limit 1', [site.company]);
  site.purse = await stack.value('select num from core.purse where company_id = $1 and account_num = $2 limit 1', [site.company, site.account]);
  await stack.query("select set_config('app.company', $1, false)", [String(site.company)]);
  return site;
}

const contact = (site, channel, address) => stack.query('insert into core.customer_contact (company_id, id, customer_num, channel, address) values ($1, $2, $3, $4, $5)', [site.company, randomUUID(), site.customer, channel, address]);

async function emit(schema, stream, type, site, subject, payload, { id = randomUUID(), rings = true, version = 1 } = {}) {
  await stack.query(`insert into ${schema}.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at) values ($1, $2, $3, $4, $5, $6, $7, now())`, [id, site.company, stream, type, subject, version, JSON.stringify(payload)]);
  if (rings) await stack.redis('XADD', stream, '*', 'e', id);
  await waitFor(() => stack.value('select 1 from alerts.inbox where event_id = $1', [id]), { what: `the inbox to have ${type}`, within_ms: 40_000 });
  assert.equal(await stack.value('select refused from alerts.inbox where event_id = $1', [id]), null);
  return id;
}

// What billing does: the purse reaches a balance and its level, and the fact goes out.
async function setBalance(site, micro, options) {
  await stack.query(
    `insert into billing.purse (num, company_id, account_num, property_num, purpose, currency, balance_micro, alarm_1_micro, alarm_2_micro, overdraft_micro, level, updated_at)
     select p.num, p.company_id, p.account_num, a.property_num, p.purpose, p.currency, 0, 50000000, 20000000, 0, 0, now() from core.purse p join core.account a on a.company_id = p.company_id and a.num = p.account_num where p.num = $1
     on conflict (num) do nothing`, [site.purse]);
  await stack.query('update billing.purse set balance_micro = $2, alarm_1_micro = 50000000, alarm_2_micro = 20000000, level = billing.credit_level($2, 50000000, 20000000, 0), level_version = level_version + 1 where num = $1', [site.purse, micro]);
  return emit('billing', 'balances', 'level_changed', site, site.purse, { purse: Number(site.purse), account: Number(site.account), property: Number(site.property), purpose: 'electricity', balance_micro: String(micro), currency: 'CNY', level: 0, level_version: 1 }, options);
}

const messages = async (site) => (await stack.query('select * from alerts.message where company_id = $1 order by num', [site.company])).rows;
const settled = (site, count) => waitFor(async () => {
  const rows = await messages(site);
  return rows.length >= count && rows.every((row) => !['queued', 'sending'].includes(row.state)) && rows;
}, { what: `${count} messages`, within_ms: 20_000 });
const receiptUrl = (site, service = alerts) => `http://127.0.0.1:${service.ports.http}${site.receiptPath}`;
const episodes = async (site, kind) => (await stack.query('select * from alerts.episode where company_id = $1 and kind = $2 order by num', [site.company, kind])).rows;

describe('a falling balance', () => {
  test('is told once a level, by SMS with the approved template; the receipt makes it a delivered warning', async () => {
    const site = await makeSite();
    await setBalance(site, 49_000_000);
    await settled(site, 1);
    assert.equal(sms.taken.length, 1);
    assert.deepEqual([sms.taken[0].phone, sms.taken[0].template, sms.taken[0].parameters.amount], [site.phone, 'SMS_alarm_1', '49.00 CNY']);
    await setBalance(site, 45_000_000);
    await setBalance(site, 19_000_000);
    await settled(site, 2);
    assert.deepEqual(sms.taken.map((each) => each.template), ['SMS_alarm_1', 'SMS_alarm_2']);
    assert.equal((await stack.value('select count(*)::int from alerts.delivered_warning where company_id = $1', [site.company])), 0);
    const pushed = await sms.receipts(receiptUrl(site), sms.taken);
    assert.deepEqual([pushed.status, pushed.body.code], [200, 0]);
    const warnings = (await stack.query('select purse_num, level from alerts.delivered_warning where company_id = $1 order by level', [site.company])).rows;
    assert.deepEqual(warnings, [{ purse_num: site.purse, level: 1 }, { purse_num: site.purse, level: 2 }]);
    assert.equal((await sms.receipts(receiptUrl(site), sms.taken)).status, 200, 'a repeated receipt changes nothing');
    assert.deepEqual((await messages(site)).map((row) => row.state), ['delivered', 'delivered']);
    const { rows: [cost] } = await stack.query('select messages, cost_micro from alerts.cost where company_id = $1', [site.company]);
    assert.equal(cost.messages, 2n);
    assert.ok(cost.cost_micro >= 100_000n && cost.cost_micro % 50_000n === 0n, 'by parts of a long message');
  });

  test('ends a tenth above its threshold: wavering around it tells nothing new', async () => {
    const site = await makeSite();
    for (const micro of [49_000_000, 51_000_000, 49_500_000, 54_900_000, 48_000_000]) await setBalance(site, micro);
    await settled(site, 1);
    assert.equal((await episodes(site, 'alarm_1')).length, 1);
    await setBalance(site, 90_000_000);
    assert.notEqual((await episodes(site, 'alarm_1'))[0].closed_at, null);
    await setBalance(site, 40_000_000);
    await settled(site, 2);
    assert.equal(sms.taken.length, 2);
  });

  test('is judged by the purse as it is: late, doubled and reordered events say nothing false', async () => {
    const site = await makeSite();
    const id = await setBalance(site, 90_000_000);
    await setBalance(site, -1_000_000);
    await stack.redis('XADD', 'balances', '*', 'e', id);
    await emit('billing', 'balances', 'level_changed', site, site.purse, { purse: Number(site.purse), account: Number(site.account), property: 1, purpose: 'electricity', balance_micro: '49000000', currency: 'CNY', level: 1, level_version: 0 });
    await settled(site, 1);
    assert.deepEqual(sms.taken.map((each) => each.template), ['SMS_arrears']);
  });
});

describe('when a way fails', () => {
  const cases = [
    ['a number that is none', [{ code: 'isv.MOBILE_NUMBER_ILLEGAL' }], ['failed', 'delivered'], 'recipient'],
    ['a template that is wrong', [{ code: 'isv.SMS_TEMPLATE_ILLEGAL' }], ['failed', 'delivered']],
    ['an account without money', [{ code: 'isv.OUT_OF_SERVICE' }], ['failed', 'delivered'], 'breaker'],
    ['a busy provider', [{ code: 'isp.SYSTEM_ERROR' }, { code: 'isp.SYSTEM_ERROR' }], ['accepted']],
  ];
  for (const [what, orders, states, effect] of cases) {
    test(what, async () => {
      const site = await makeSite();
      sms.order(...orders);
      await setBalance(site, 10_000_000);
      await waitFor(async () => (await messages(site)).map((row) => row.state).join() === states.join(), { what: states.join(), within_ms: 30_000 });
      assert.equal(hooks.taken.length, states.length - 1);
      if (effect === 'recipient') assert.notEqual(await stack.value("select bad_since from core.customer_contact where company_id = $1 and channel = 'sms'", [site.company]), null);
      if (effect === 'breaker') {
        assert.equal(await stack.value('select count(*)::int from alerts.breaker where company_id = $1', [site.company]), 1);
        await setBalance(site, -5_000_000);
        await settled(site, 3);
        assert.equal(sms.taken.length, 0, 'a resting channel is not asked');
      }
      if (states.at(-1) === 'delivered') assert.equal(hooks.taken[0].payload.type, 'alarm_2');
    });
  }

  test('an answer that never came: the provider is asked, and nothing is sent twice', async () => {
    const site = await makeSite();
    sms.order({ garbage: true });
    await setBalance(site, 10_000_000);
    await waitFor(async () => (await messages(site))[0]?.state === 'unknown', { what: 'unknown' });
    await stack.query("update alerts.message set next_at = now() where company_id = $1", [site.company]);
    await waitFor(async () => (await messages(site))[0].state === 'accepted', { what: 'accepted after asking' });
    assert.equal(sms.taken.length, 1);
    assert.equal(hooks.taken.length, 0);
  });

  test('a receipt that says undelivered, or none at all: the next way', async () => {
    const site = await makeSite();
    await setBalance(site, 10_000_000);
    await settled(site, 1);
    await sms.receipts(receiptUrl(site), sms.taken, { success: false });
    await settled(site, 2);
    assert.equal(hooks.taken.length, 1);
    assert.deepEqual((await messages(site)).map((row) => row.state), ['failed', 'delivered']);
    await sms.receipts(receiptUrl(site), sms.taken, { success: true });
    assert.equal((await messages(site))[0].state, 'delivered', 'a late true beats what was feared');
    await sms.receipts(receiptUrl(site), sms.taken, { success: false });
    assert.equal((await messages(site))[0].state, 'delivered', 'and nothing beats delivered');

    const other = await makeSite();
    await setBalance(other, 10_000_000);
    await settled(other, 1);
    await stack.query("update alerts.message set next_at = now() where company_id = $1", [other.company]);
    await settled(other, 2);
    assert.deepEqual((await messages(other)).map((row) => [row.state, row.channel]), [['accepted', 'sms'], ['delivered', 'webhook']]);
  });

  test('a webhook that is slow, gone, redirecting or asks for patience', async () => {
    const site = await makeSite();
    await stack.query("delete from core.customer_contact where company_id = $1 and channel = 'sms'", [site.company]);
    hooks.order(302, 429, 204);
    await setBalance(site, 10_000_000);
    await waitFor(async () => (await messages(site))[0]?.state === 'delivered', { what: 'delivery at the third attempt', within_ms: 30_000 });
    assert.equal(new Set(hooks.taken.map((each) => each.id)).size, 1, 'one id over all attempts');
    hooks.order(410);
    await setBalance(site, -1_000_000);
    await waitFor(async () => (await messages(site)).at(-1).state === 'failed', { what: 'gone' });
    assert.notEqual(await stack.value("select bad_since from core.customer_contact where company_id = $1 and channel = 'webhook'", [site.company]), null);
  });
});

describe('limits', () => {
  test('a monthly cap, a daily limit, opting out, a rule that is off', async () => {
    const capped = await makeSite({ cap: '0.05' });
    await setBalance(capped, 10_000_000);
    await settled(capped, 1);
    await setBalance(capped, -1_000_000);
    await settled(capped, 3);
    assert.deepEqual((await messages(capped)).map((row) => [row.channel, row.state]), [['sms', 'accepted'], ['sms', 'suppressed'], ['webhook', 'delivered']]);

    const limited = await makeSite();
    await stack.query("update core.alert_rule set per_day_max = 1 where company_id = $1", [limited.company]);
    await setBalance(limited, 40_000_000);
    await settled(limited, 1);
    await setBalance(limited, 10_000_000);
    await settled(limited, 2);
    assert.deepEqual((await messages(limited)).map((row) => row.state), ['accepted', 'suppressed']);

    const out = await makeSite();
    await stack.query("update core.customer_contact set opted_out = '{alarm_1}' where company_id = $1", [out.company]);
    await stack.query("update core.alert_rule set is_enabled = false where company_id = $1 and kind = 'alarm_2'", [out.company]);
    await setBalance(out, 40_000_000);
    await setBalance(out, 10_000_000);
    await setBalance(out, -1_000_000);
    await settled(out, 1);
    assert.deepEqual((await messages(out)).map((row) => row.kind), ['arrears']);
  });

  test('quiet hours hold an alarm back, not news of the supply', async () => {
    const site = await makeSite();
    await stack.query("update core.alert_rule set quiet_from = ((now() at time zone 'Asia/Shanghai') - interval '1 hour')::time(0), quiet_to = ((now() at time zone 'Asia/Shanghai') + interval '1 hour')::time(0) where company_id = $1", [site.company]);
    await setBalance(site, 10_000_000);
    await emit('control', 'control-events', 'supply_switched', site, site.points[0].num, { usage_point: Number(site.points[0].num), property: Number(site.property), account: Number(site.account), purse: Number(site.purse), state: 'off', reason: 'arrears', version: 1, at: new Date().toISOString() });
    await waitFor(async () => (await messages(site)).some((row) => row.kind === 'switched_off' && row.state === 'accepted'), { what: 'news of the supply' });
    const held = (await messages(site)).find((row) => row.kind === 'alarm_2');
    assert.equal(held.state, 'queued');
    const minutes = (held.next_at - Date.now()) / 60_000;
    assert.ok(minutes > 50 && minutes < 61, `${minutes}`);
    await setBalance(site, 90_000_000);
    await stack.query('update alerts.message set next_at = now() where num = $1', [held.num]);
    await waitFor(async () => (await messages(site)).find((row) => row.num === held.num).state === 'suppressed', { what: 'what is over is not told' });
  });

  test('an outage of a gateway with 200 meters is one message', async () => {
    const site = await makeSite({ points: 200 });
    await stack.query("insert into core.alert_recipient (company_id, id, name, channel, address) values ($1, $2, 'duty', 'webhook', $3)", [site.company, randomUUID(), hooks.url]);
    const [{ gateway_num: gateway }] = (await stack.query('select gateway_num from core.meter where company_id = $1 limit 1', [site.company])).rows;
    const meters = (await stack.query('select num from core.meter where company_id = $1 order by num', [site.company])).rows.map((row) => row.num);
    const since = new Date().toISOString();
    await stack.query(`insert into ingest.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
      select gen_random_uuid(), $1, 'device-events', 'meter_lost', m, 1, jsonb_build_object('meter', m, 'gateway', $2::bigint, 'property', $3::bigint, 'since', $4::text), now() - interval '1 minute' from unnest($5::bigint[]) m`, [site.company, gateway, site.property, since, meters]);
    await emit('ingest', 'device-events', 'gateway_lost', site, gateway, { gateway: Number(gateway), property: Number(site.property), since });
    await waitFor(async () => (await episodes(site, 'meter_lost')).length === 200, { what: '200 episodes', within_ms: 60_000 });
    await stack.query('update alerts.message set next_at = now() where company_id = $1', [site.company]);
    await waitFor(async () => (await messages(site)).every((row) => !['queued', 'sending'].includes(row.state)), { what: 'the queue to empty', within_ms: 60_000 });
    assert.deepEqual(hooks.taken.map((each) => each.payload.type), ['gateway_lost']);
    assert.equal((await messages(site)).filter((row) => row.state === 'suppressed' && row.reason === 'grouped').length, 200);
  });

  test('a top-up, a payment in suspense, a quarantined reading reach those concerned', async () => {
    const site = await makeSite();
    await stack.query("insert into core.alert_recipient (company_id, id, name, channel, address) values ($1, $2, 'office', 'webhook', $3)", [site.company, randomUUID(), hooks.url]);
    await emit('payments', 'payments', 'order_paid', site, 1, { order: randomUUID(), account: Number(site.account), purse: Number(site.purse), property: Number(site.property), purpose: 'electricity', amount_micro: '50000000', currency: 'CNY', channel: 'wechat' });
    await emit('payments', 'payments', 'payment_suspended', site, 2, { suspense: randomUUID(), order: null, account: null, reason: 'unknown_order', amount_micro: '7000000', currency: 'CNY' });
    await settled(site, 2);
    assert.deepEqual(sms.taken.map((each) => [each.template, each.parameters.amount]), [['SMS_top_up', '50.00 CNY']]);
    assert.match(hooks.taken[0].payload.data.text, /7\.00 CNY/);
  });
});

describe('a log-in code', () => {
  test('is sealed at rest, sent at once, and stands in no table and no log', async () => {
    const site = await makeSite();
    const code = '481516';
    const id = randomUUID();
    const sealed = (await seal(stack, site.company, `login_code/${id}`, code)).toString('base64');
    await emit('api', 'message-requests', 'login_code_requested', site, 1, { code: id, phone: site.phone, code_sealed: sealed, locale: 'zh-CN', property: null, expires_at: new Date(Date.now() + 300_000).toISOString() });
    await settled(site, 1);
    assert.equal(sms.taken[0].parameters.code, code);
    assert.equal(await stack.value('select count(*)::int from alerts.message m where m.company_id = $1 and m::text like $2', [site.company, `%${code}%`]), 0);
    assert.ok(!alerts.output.includes(code));
  });
});

for (const point of ['alerts.before_send', 'alerts.after_send', 'alerts.before_commit']) {
  test(`killed at ${point}: told at least once, and by the same way at most once`, async () => {
    await alerts.stop();
    const site = await makeSite();
    const doomed = await stack.spawnService('alerts', { ...ENV, PENSTOCK_CRASH_POINT: point });
    await doomed.ready();
    await setBalance(site, 10_000_000).catch(() => {});
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
    alerts = await stack.spawnService('alerts', ENV);
    await alerts.ready();
    await stack.query("update alerts.message set next_at = now() where company_id = $1 and state = 'sending'", [site.company]); // as if its lease had passed
    await waitFor(async () => {
      await stack.query("update alerts.message set next_at = now() where company_id = $1 and state in ('unknown', 'queued') and next_at > now()", [site.company]);
      return (await messages(site)).every((row) => row.state === 'accepted');
    }, { what: 'the message to be accepted', within_ms: 30_000, every_ms: 700 });
    assert.equal(sms.taken.length, 1, 'one SMS');
  });
}

test('two replicas send no message twice', async () => {
  const site = await makeSite();
  const second = await stack.spawnService('alerts', ENV);
  await second.ready();
  for (const micro of [40_000_000, 10_000_000, -1_000_000]) await setBalance(site, micro);
  await settled(site, 3);
  for (const micro of [90_000_000, 40_000_000, 10_000_000, -1_000_000]) await setBalance(site, micro);
  await settled(site, 6);
  await sleep(1500);
  assert.equal(new Set(sms.taken.map((each) => each.outId)).size, sms.taken.length);
  assert.equal(sms.taken.length, 6);
  await second.stop();
});

test('a forged or foreign receipt changes nothing, and bad ones are refused', async () => {
  const [site, other] = [await makeSite(), await makeSite()];
  await setBalance(site, 10_000_000);
  await settled(site, 1);
  await sms.receipts(receiptUrl(other), sms.taken.map((each) => ({ ...each })));
  assert.equal((await messages(site))[0].state, 'accepted', "another company's path");
  const push = (url, body, method = 'POST') => fetch(url, { method, body, headers: { 'content-type': 'application/json' } }).then((answer) => answer.status);
  assert.equal(await push(`http://127.0.0.1:${alerts.ports.http}/receipts/${'x'.repeat(32)}`, '[]'), 404);
  for (const body of ['', '{', '{}', '[1]', '[{"success":"yes"}]', 'x'.repeat(300_000)]) assert.ok((await push(receiptUrl(site), body)) >= 400, body.slice(0, 20));
  assert.equal((await messages(site))[0].state, 'accepted');
});
