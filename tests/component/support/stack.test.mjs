// The ground the component tests stand on: private servers, their restarts, and children that never outlive a test.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Child, runProgram } from '../../support/child.mjs';
import { ROOT, startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

const STACK = `${ROOT}/tools/dev/stack`;
let stack;
before(async () => {
  stack = await startStack({ exclusive: true, migrated: false });
});
after(() => stack?.stop());

test('PostgreSQL listens on no TCP port, keeps fsync on and counts in UTC', async () => {
  assert.equal(await stack.value('show listen_addresses'), '');
  assert.equal(await stack.value('show fsync'), 'on');
  assert.equal(await stack.value('show synchronous_commit'), 'on');
  assert.equal(await stack.value('show timezone'), 'UTC');
  assert.equal(await stack.value('show server_encoding'), 'UTF8');
});

test('Redis listens on no TCP port and never evicts', async () => {
  assert.deepEqual(await stack.redis('CONFIG', 'GET', 'port'), ['port', '0']);
  assert.deepEqual(await stack.redis('CONFIG', 'GET', 'maxmemory-policy'), ['maxmemory-policy', 'noeviction']);
  assert.deepEqual(await stack.redis('CONFIG', 'GET', 'appendonly'), ['appendonly', 'yes']);
});

for (const mode of ['fast', 'immediate', 'kill']) {
  test(`what was committed outlives a PostgreSQL stopped by ${mode}`, async () => {
    await stack.query(`create table kept_${mode} as select 42::bigint as answer`);
    await stack.stopPostgres({ mode });
    await assert.rejects(stack.connect());
    await stack.startPostgres();
    assert.equal(await waitFor(() => stack.value(`select answer from kept_${mode}`)), 42n);
  });
}

test('Redis keeps its entries through a polite restart and loses them on FLUSHALL', async () => {
  await stack.redis('XADD', 'stream', '*', 'e', 'payload');
  await stack.stopRedis({ mode: 'fast' });
  await assert.rejects(stack.redis('PING'));
  await stack.startRedis();
  assert.equal(await stack.redis('XLEN', 'stream'), 1);
  await stack.flushRedis();
  assert.equal(await stack.redis('XLEN', 'stream'), 0);
});

test('a stack whose owner died is purged', async () => {
  const owner = new Child('owner', 'sleep', ['60']);
  const dir = `${stack.dir}-owned`;
  const { code, stderr } = await runProgram(STACK, ['up', 'redis', '--dir', dir, '--owner', String(owner.pid)]);
  assert.equal(code, 0, stderr);
  assert.ok(existsSync(dir));
  await owner.killNow();
  await waitFor(() => !existsSync(dir), { what: 'the purge', within_ms: 15_000, every_ms: 100 });
});

test('a child that ignores SIGTERM is killed, and its end is told', async () => {
  const child = new Child('stubborn', 'bash', ['-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done']);
  await waitFor(() => child.output.includes('up'));
  await assert.rejects(child.stop({ within_ms: 300 }), /stubborn's end after SIGTERM/);
  assert.equal((await child.exited).signal, 'SIGKILL');
});

test('what a sanitizer reports of a child fails the file', async () => {
  const own = await startStack({ exclusive: true, migrated: false, redis: false });
  const child = own.spawn('faulty', 'bash', ['-c', 'echo "file.c:3:5: runtime error: signed integer overflow" >&2']);
  await child.exit();
  assert.match(child.sanitizerReport, /signed integer overflow/);
  await assert.rejects(own.stop(), /faulty was reported by a sanitizer/);
  assert.ok(!existsSync(own.dir));
});

test('waiting ends at the deadline and tells the last reason', async () => {
  const check = () => {
    throw new Error('not today');
  };
  await assert.rejects(waitFor(check, { what: 'the miracle', within_ms: 60 }), /the miracle did not come within 60 ms: not today/);
});
