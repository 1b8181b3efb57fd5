// The skeleton of services on real servers: start checks, outbox relay, inbox, sweep, crash points, shutdown.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { buildDir, get, startStack } from '../../support/stack.mjs';
import { runProgram } from '../../support/child.mjs';
import { freePort, sleep, waitFor } from '../../support/wait.mjs';

const PROBE = path.join(buildDir(), 'tests/infra_probe');
let stack;
let company;

before(async () => {
  stack = await startStack();
  company = await stack.value("insert into core.company (id, code, name, created_at) values (gen_random_uuid(), 'infra', 'Infra', now()) returning company_id");
});
after(() => stack.stop());

async function probe(kind, env = {}) {
  const admin = await freePort();
  const child = stack.spawn(`probe-${kind}`, PROBE, [], { env: { PROBE: kind, PENSTOCK_ADMIN_LISTEN: `127.0.0.1:${admin}`, ...env } });
  child.admin = `http://127.0.0.1:${admin}`;
  child.ready = () =>
    waitFor(async () => !child.isAlive || (await get(`${child.admin}/readyz`)).status === 200, { what: `${kind} ready`, within_ms: 20000, every_ms: 50 });
  return child;
}

const emit = (type, n, at = 'now()') =>
  stack.query(
    `insert into billing.outbox (company_id, stream, type, subject_num, version, payload, created_at)
     select $1, 'balances', $2, g, 1, jsonb_build_object('n', g), ${at} from generate_series(1, $3) g`,
    [company, type, n],
  );
const fed = (type) => stack.value('select count(*)::int from api.event_feed where type = $1', [type]);
const allFed = (type, n, within_ms = 10000) => waitFor(async () => (await fed(type)) >= n, { what: `${n} ${type}`, within_ms, every_ms: 50 });

test('relay and consumer carry each event to its one effect', async () => {
  const relay = await probe('relay');
  const consumer = await probe('consumer');
  await Promise.all([relay.ready(), consumer.ready()]);
  await emit('first', 700);
  await allFed('first', 700);
  await sleep(300);
  assert.equal(await fed('first'), 700);
  assert.equal(await stack.value('select count(*)::int from billing.outbox where published_at is null'), 0);
  const { body } = await get(`${consumer.admin}/metrics`);
  assert.match(body, /penstock_events_handled_total\{stream="balances"\} 700/);
  assert.equal((await consumer.stop()).code, 0);
  assert.equal((await relay.stop()).code, 0);
});

test('an event nobody can digest stops nobody else', async () => {
  const relay = await probe('relay');
  const consumer = await probe('consumer');
  await Promise.all([relay.ready(), consumer.ready()]);
  await emit('indigestible', 2);
  await emit('behind', 3);
  await allFed('behind', 3);
  await waitFor(async () => (await stack.value('select count(*)::int from api.inbox where refused is not null')) === 2, { what: 'dead letters' });
  assert.match(await stack.value('select max(refused) from api.inbox'), /BAD_INPUT.*nobody understands this/);
  await consumer.stop();
  await relay.stop();
});

test('the sweep finds what was never announced', async () => {
  // No relay runs: the rows are old enough for the first sweep of a new consumer.
  await emit('silent', 250, "now() - interval '1 minute'");
  const consumer = await probe('consumer');
  await consumer.ready();
  await allFed('silent', 250);
  await consumer.stop();
});

test('without Redis the sweep is the way', async () => {
  await stack.stopRedis();
  const consumer = await probe('consumer');
  await consumer.ready();
  await emit('quiet', 5);
  await allFed('quiet', 5);
  await stack.startRedis();
  const relay = await probe('relay');
  await relay.ready();
  await emit('loud', 5);
  await allFed('loud', 5);
  await consumer.stop();
  await relay.stop();
});

for (const point of ['relay.before_announce', 'relay.before_mark']) {
  test(`killed at ${point}: announced by the next relay, effective once`, async () => {
    const name = point.replace('.', '_');
    const consumer = await probe('consumer');
    const doomed = await probe('relay', { PENSTOCK_CRASH_POINT: point });
    await consumer.ready();
    await emit(name, 20);
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
    const relay = await probe('relay');
    await relay.ready();
    await allFed(name, 20);
    await waitFor(async () => (await stack.value('select count(*)::int from billing.outbox where published_at is null')) === 0, { what: 'all published' });
    assert.equal(await fed(name), 20);
    await consumer.stop();
    await relay.stop();
  });
}

for (const point of ['consumer.before_commit:3', 'consumer.after_commit:3']) {
  test(`killed at ${point}: each event has its effect once`, async () => {
    const name = point.replace(/[.:]/g, '_');
    const relay = await probe('relay');
    const doomed = await probe('consumer', { PENSTOCK_CRASH_POINT: point });
    await relay.ready();
    await doomed.ready(); // a consumer that comes after the doorbell waits for the sweep
    await emit(name, 10);
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
    const consumer = await probe('consumer');
    await consumer.ready();
    // What the first one was told is swept once it is ten seconds old; make it so.
    await stack.query("update billing.outbox set created_at = created_at - interval '20 seconds' where type = $1", [name]);
    await consumer.stop();
    const second = await probe('consumer');
    await second.ready();
    await allFed(name, 10);
    await sleep(200);
    assert.equal(await fed(name), 10);
    await second.stop();
    await relay.stop();
  });
}

for (const [kind, point] of [['relay', 'relay.before_announce'], ['relay', 'relay.before_mark'], ['consumer', 'consumer.before_commit'], ['consumer', 'consumer.after_commit']]) {
  test(`frozen at ${point}: another does its work, and thawed it does no harm`, async () => {
    const name = `frozen_${point.replace('.', '_')}`;
    const frozen = await probe(kind, { PENSTOCK_CRASH_POINT: `${point}:1:stop` });
    const other = await probe(kind === 'relay' ? 'consumer' : 'relay');
    await Promise.all([frozen.ready(), other.ready()]);
    await emit(name, 20);
    await waitFor(() => frozen.isFrozen, { what: `frozen at ${point}`, within_ms: 20000 });
    const heir = await probe(kind);
    await heir.ready();
    // What was rung for while the heir was not there is swept once it is ten seconds old.
    if (kind === 'consumer') await stack.query("update billing.outbox set created_at = created_at - interval '20 seconds' where type = $1", [name]);
    await allFed(name, 20, 60000);
    await waitFor(async () => (await stack.value('select count(*)::int from billing.outbox where published_at is null')) === 0, { what: 'all published', within_ms: 30000 });
    frozen.thaw();
    await emit(`${name}_after`, 20);
    await allFed(`${name}_after`, 20, 60000);
    await sleep(500);
    assert.equal(await fed(name), 20);
    assert.equal(await fed(`${name}_after`), 20);
    for (const child of [frozen, heir, other]) assert.equal((await child.stop()).code, 0);
  });
}

test('torture: whichever database operation fails, every event has its effect once', async () => {
  for (const when of ['before', 'after']) {
    for (const k of [4, 5, 6, 7, 8, 9, 10, 11, 12, 14]) {
      const name = `torture_${when}_${k}`;
      await emit(name, 3, "now() - interval '1 minute'");
      const consumer = await probe('consumer', { PENSTOCK_DB_FAIL: `${k}:${when}` });
      await allFed(name, 3);
      await consumer.stop();
      assert.equal(await fed(name), 3, name);
    }
  }
});

test('a service that may not start says why and exits with 2', async () => {
  const env = { ...stack.env, PENSTOCK_ADMIN_LISTEN: '127.0.0.1:0', PATH: process.env.PATH };
  const run = (extra, args = []) => runProgram(PROBE, args, { env: { ...env, ...extra }, within_ms: 20000 });
  const cases = [
    [{ PROBE: 'consumer', PENSTOCK_DATABASE: `${stack.ownerConninfo}` }, /superuser/],
    [{ PROBE: 'future' }, /schema is at version \d+ and must be at least 9999/],
    [{ PROBE: 'relay', PENSTOCK_DATABASE: '' }, /PENSTOCK_DATABASE: must have/],
    [{ PROBE: 'relay', PENSTOCK_REDIS: 'nowhere' }, /PENSTOCK_REDIS: "nowhere" is neither/],
    [{ PROBE: 'relay', PENSTOCK_LOG_LEVEL: 'loud' }, /PENSTOCK_LOG_LEVEL: "loud" is not one of/],
    [{ PROBE: 'relay', PENSTOCK_ADMIN_LISTEN: '203.0.113.7:9' }, /203\.0\.113\.7/],
  ];
  for (const [extra, reason] of cases) {
    const { code, stderr } = await run(extra);
    assert.equal(code, 2, JSON.stringify(extra));
    assert.match(stderr, reason);
  }
  await stack.redis('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
  const evicting = await run({ PROBE: 'relay' });
  await stack.redis('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  assert.equal(evicting.code, 2);
  assert.match(evicting.stderr, /maxmemory-policy is "allkeys-lru" and must be noeviction/);
  await stack.query('grant penstock_owner to penstock_billing');
  const owner = await run({ PROBE: 'relay' });
  await stack.query('revoke penstock_owner from penstock_billing');
  assert.equal(owner.code, 2);
  assert.match(owner.stderr, /owns tables/);
});

test('configuration can be checked and shown without starting', async () => {
  const env = { ...stack.env, PROBE: 'relay', PENSTOCK_PROBE_SECRET: `s${randomUUID()}` };
  const shown = await runProgram(PROBE, ['--print-config'], { env });
  assert.equal(shown.code, 0);
  assert.match(shown.stdout, /PENSTOCK_PROBE_SECRET=\*\*\*\*/);
  assert.match(shown.stdout, /PENSTOCK_DATABASE=\*\*\*\*/);
  assert.ok(!shown.stdout.includes(env.PENSTOCK_PROBE_SECRET));
  assert.equal((await runProgram(PROBE, ['--check-config'], { env })).code, 0);
  assert.equal((await runProgram(PROBE, ['--check-config'], { env: { ...env, PENSTOCK_REUSE_PORT: 'perhaps' } })).code, 2);
  assert.match((await runProgram(PROBE, ['--help'], { env })).stdout, /PENSTOCK_ADMIN_LISTEN/);
});

test('readiness follows the database, and shutdown is clean while it is away', async () => {
  const own = await startStack({ exclusive: true });
  try {
    const admin = await freePort();
    const child = own.spawn('probe', PROBE, [], { env: { PROBE: 'relay', PENSTOCK_ADMIN_LISTEN: `127.0.0.1:${admin}` } });
    const status = async () => (await get(`http://127.0.0.1:${admin}/readyz`)).status;
    await waitFor(async () => (await status()) === 200, { what: 'ready', within_ms: 15000, every_ms: 50 });
    await own.stopPostgres({ mode: 'immediate' });
    await waitFor(async () => (await status()) === 503, { what: 'not ready', within_ms: 15000 });
    assert.equal((await get(`http://127.0.0.1:${admin}/livez`)).status, 200);
    await own.startPostgres();
    await waitFor(async () => (await status()) === 200, { what: 'ready again', within_ms: 20000 });
    await own.stopPostgres({ mode: 'fast' });
    assert.equal((await child.stop()).code, 0);
  } finally {
    await own.stop();
  }
});
