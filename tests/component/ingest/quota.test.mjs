// Quotas of readings per second and company, and who is asked first on a bus.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { get, startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Dtu, MeterOnLine, Site, push, reading } from './site.mjs';

const QUOTA = 20; // readings per second; the bucket holds ten seconds of it
const FULL = QUOTA * 10;

let stack, site, service;
const links = [];
before(async () => {
  stack = await startStack();
  site = await Site.create(stack, { pollSeconds: 5 });
  service = await spawn();
});
after(async () => {
  for (const link of links) link.end();
  await stack?.stop();
});

async function spawn() {
  const made = await stack.spawnService('ingest');
  await made.ready();
  return made;
}

const metricOf = async (of, name) => {
  const { body } = await get(`http://127.0.0.1:${of.ports.admin}/metrics`);
  const line = body.split('\n').find((each) => each.startsWith(`${name} `));
  return line ? Number(line.split(' ').at(-1)) : 0;
};
const refusedOf = (of, company) => metricOf(of, `penstock_ingest_quota_refused_total{company="${company}"}`);

// A company with a quota, a pushing gateway and a meter behind it, known to the service.
async function tenantOf(code, quota = QUOTA) {
  const made = await Site.create(stack, { code, pollSeconds: 5 });
  await stack.query('update core.company set quota_readings_per_s = $2 where company_id = $1', [made.company, quota]);
  const gateway = await made.addPushGateway();
  const meter = await made.addMeter(gateway, '1');
  await waitFor(async () => (await push(service, gateway, { readings: [reading(meter, '0')] })).status === 200, { within_ms: 8000, what: 'the gateway' });
  await sleep(2500); // quotas are looked up every two seconds
  return { site: made, gateway, meter };
}
const batch = (meter, count) => ({ readings: Array.from({ length: count }, (_, i) => reading(meter, String(i))) });

test('a burst of ten seconds passes, what is over it is told when to come again, and then passes', async () => {
  const { site: own, gateway, meter } = await tenantOf('bursts');
  assert.equal((await push(service, gateway, batch(meter, FULL - 10))).status, 200);
  const refused = await push(service, gateway, batch(meter, 100));
  assert.equal(refused.status, 429);
  assert.match(refused.json.type, /too-many-requests/);
  const wait_s = Number(refused.headers['retry-after']);
  assert.ok(wait_s >= 3 && wait_s <= 11, `Retry-After: ${wait_s}`);
  assert.equal(await refusedOf(service, own.company), 100);
  const journaled = () => own.journal().then((all) => all.filter((record) => record.channel === meter.channel).length);
  const before = await journaled();
  await sleep(5500);
  assert.equal((await push(service, gateway, batch(meter, 100))).status, 200, 'five seconds later there is room');
  assert.equal(await journaled(), before + 100, 'nothing of the refused push was kept');
});

test('a batch larger than the bucket passes when it is full, and is paid back', async () => {
  const { gateway, meter } = await tenantOf('batches', 5);
  assert.equal((await push(service, gateway, batch(meter, 90))).status, 200);
  assert.equal((await push(service, gateway, batch(meter, 1))).status, 429);
});

test('a neighbour does not notice', async () => {
  const noisy = await tenantOf('noisy');
  const quiet = await tenantOf('quiet');
  for (let i = 0; i < 5; i++) await push(service, noisy.gateway, batch(noisy.meter, FULL));
  assert.ok((await refusedOf(service, noisy.site.company)) > 0);
  for (let i = 0; i < 5; i++) assert.equal((await push(service, quiet.gateway, batch(quiet.meter, 10))).status, 200);
  assert.equal(await refusedOf(service, quiet.site.company), 0);
});

test('two replicas share a quota in proportion to what they are offered', async () => {
  const other = await spawn();
  const { site: own, gateway, meter } = await tenantOf('shared', 40);
  const second = await own.addPushGateway();
  const meterOfSecond = await own.addMeter(second, '1');
  await waitFor(async () => (await push(other, second, { readings: [reading(meterOfSecond, '0')] })).status === 200, { within_ms: 8000 });
  // Each offers 80 a second for a while: the buckets run dry and the shares settle; then what passes is counted.
  const taken = [0, 0];
  const offer = async (to, from, at, index) => {
    for (const end = Date.now() + 16_000; Date.now() < end; await sleep(100)) {
      const { status } = await push(to, from, batch(at, 8));
      if (status === 200 && Date.now() > end - 8_000) taken[index] += 8;
    }
  };
  await Promise.all([offer(service, gateway, meter, 0), offer(other, second, meterOfSecond, 1)]);
  const perSecond = (taken[0] + taken[1]) / 8;
  assert.ok(perSecond > 30 && perSecond < 52, `${perSecond} a second of 40 were taken: ${taken}`);
  assert.ok(Math.min(...taken) > 0.5 * Math.max(...taken), `each has its part: ${taken}`);
  await other.stop();
});

test('a bus over the quota is asked every second round, and what it brought is kept', async () => {
  const { site: own } = await tenantOf('bus', 1);
  const gateway = await own.addDtu();
  const lines = [];
  for (let i = 0; i < 6; i++) {
    const meter = await own.addMeter(gateway, String(400000000000 + i), { protocol: 'dlt645_2007' });
    lines.push({ meter, line: new MeterOnLine(meter.address, [100, 10, 20, 30, 40]) });
  }
  await sleep(1500);
  links.push(await new Dtu(service, gateway, lines.map(({ line }) => line)).connect());
  // 6 meters × 5 registers each 5 s are 6 a second, of 1.
  await waitFor(async () => (await metricOf(service, 'penstock_ingest_polls_skipped_total')) >= 6, { within_ms: 40_000, every_ms: 500, what: 'rounds left out' });
  const answered = lines.reduce((sum, { line }) => sum + line.asked.filter((item) => item === 0x0001ff00).length, 0);
  const channels = new Set(lines.map(({ meter }) => meter.channel));
  await waitFor(async () => (await own.journal()).filter((record) => channels.has(record.channel) && record.register === 0).length >= answered, { what: 'all that was answered is in the journal' });
  for (const { line } of lines) assert.ok(line.asked.filter((item) => item === 0x0001ff00).length >= 1, 'nobody is left out for good');
});

// ---- who is first ----

// A customer's purse at a level, and the meter's channel on his usage point. Keys are not checked: only these rows count.
async function putOnPurse(own, meter, level) {
  const client = await stack.connect();
  const point = 900_000 + Number(meter.num);
  await client.query('set session_replication_role = replica');
  await client.query(
    `insert into billing.purse (num, company_id, account_num, property_num, purpose, currency, alarm_1_micro, alarm_2_micro, overdraft_micro, level, updated_at)
     values ($1, $2, $1, $3, 'electricity', 'CNY', 0, 0, 0, $4, now())`, [point, own.company, own.property, level]);
  await client.query(
    `insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at) values ($1, $2, $2, $2, now() - interval '1 day')`, [own.company, point]);
  await client.query(
    `insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value) values ($1, $2, $3, now() - interval '1 day', 0)`,
    [own.company, meter.channel, point]);
  await client.end();
}

test('on a bus with more meters than fit its time, those near the end of their credit are read first, and all are read', async () => {
  const own = await Site.create(stack, { code: 'near', pollSeconds: 5 });
  const gateway = await own.addDtu();
  const lines = [];
  for (let i = 0; i < 14; i++) {
    const meter = await own.addMeter(gateway, String(500000000000 + i), { protocol: 'dlt645_2007' });
    lines.push({ meter, line: new MeterOnLine(meter.address, [100, 10, 20, 30, 40]) });
    if (i < 4) await putOnPurse(own, meter, i < 2 ? 2 : 1);
  }
  const fresh = await spawn(); // looks at credit as it starts
  await waitFor(async () => (await metricOf(fresh, 'penstock_ingest_meters_near_end')) === 4, { within_ms: 15_000, what: 'four meters near the end' });
  const link = new Dtu(fresh, gateway, lines.map(({ line }) => line));
  link.alter = (answer, _, to) => (setTimeout(() => to.isClosed || to.socket.write(answer), 200), []);
  links.push(await link.connect());
  await sleep(32_000);
  const polls = lines.map(({ line }) => line.asked.filter((item) => item === 0x0001ff00).length);
  const average = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  assert.ok(average(polls.slice(0, 4)) >= 1.5 * average(polls.slice(4)), `polls: ${polls}`);
  assert.ok(Math.min(...polls) >= 1, `everybody is read: ${polls}`);
  await fresh.stop();
});
