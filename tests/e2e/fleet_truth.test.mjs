// The whole path under a misbehaving fleet while ingest, billing and Redis lose their lives: what the fleet knows and what
// the books say agree to the last watt-hour, nothing lost, nothing twice.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { program, startStack } from '../support/stack.mjs';
import { compareTruth } from '../support/truth.mjs';
import { waitFor } from '../support/wait.mjs';

const FAULTS = [
  { fault: 'duplicate', permille: 50 },
  { fault: 'cut', permille: 20 },
  { fault: 'wrong_checksum', permille: 20 },
  { fault: 'wrong_di', permille: 10 },
  { fault: 'garbage', permille: 20 },
  { fault: 'slow', permille: 10, value: 4000 },
  { fault: 'echo', permille: 20 },
  { fault: 'reordered', permille: 20 },
  { fault: 'segments', permille: 20 },
];

const stack = await startStack();
after(() => stack.stop());

async function service(name, env = {}) {
  const started = await stack.spawnService(name, { PENSTOCK_LOG_LEVEL: 'warn', ...env });
  return started.ready({ within_ms: 60_000 });
}

// The demo's own fleet, in a hurry: pushes each second, meters that answer at once.
async function startFleet(ingest) {
  const config = JSON.parse(readFileSync(join(stack.dir, 'demo.json'), 'utf8'));
  for (const gateway of config.gateways) {
    if (gateway.kind === 'http') gateway.interval_s = 1;
    else gateway.answer_ms = 1;
  }
  Object.assign(config, { tcp: `127.0.0.1:${ingest.ports.tcp}`, http: `127.0.0.1:${ingest.ports.http}`, faults: FAULTS });
  writeFileSync(join(stack.dir, 'fleet.json'), JSON.stringify(config));
  const args = ['--config', join(stack.dir, 'fleet.json'), '--truth', join(stack.dir, 'truth'), '--stats', '--drain', '40'];
  return stack.spawn('fleet', program('penstock-fleet'), args);
}

const rises = async (fleet, name, by) => {
  const before = fleet.logs.at(-1)?.[name] ?? 0;
  await waitFor(() => (fleet.logs.at(-1)?.[name] ?? 0) >= before + by, { what: `${by} more ${name}`, within_ms: 60_000, every_ms: 100 });
};

const unclaimed = () =>
  stack.value(
    `select count(*) from ingest.reading_block b
     where not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id)`,
  );

test('truth and books agree after kills of ingest and billing and a wiped Redis', { timeout: 240_000 }, async () => {
  const loaded = await stack.ctl(['demo', 'load', '--meters', '120', '--days', '1', '--fleet-out', join(stack.dir, 'demo.json')]);
  assert.equal(loaded.code, 0, loaded.stderr);
  let ingest = await service('ingest');
  let billing = await service('billing');
  const fleet = await startFleet(ingest);
  const sameDoors = { PENSTOCK_INGEST_HTTP_LISTEN: `127.0.0.1:${ingest.ports.http}`, PENSTOCK_INGEST_TCP_LISTEN: `127.0.0.1:${ingest.ports.tcp}` };
  for (let round = 0; round < 3; round++) {
    await rises(fleet, 'acknowledged', 60);
    await ingest.killNow();
    ingest = await service('ingest', sameDoors);
    await rises(fleet, 'answers', 20);
    await billing.killNow();
    await rises(fleet, 'acknowledged', 30);
    billing = await service('billing');
    await stack.flushRedis();
  }
  assert.equal((await fleet.stop({ within_ms: 60_000 })).code, 0);
  const last = fleet.logs.at(-1);
  assert.equal(last.pending, 0, JSON.stringify(last));
  assert.equal(last.refused, 0, JSON.stringify(last));
  assert.ok(last.faults > 0 && last.answers > 0, JSON.stringify(last));
  await waitFor(async () => (await unclaimed()) === 0n, { what: 'every block claimed', within_ms: 60_000 });
  const truth = await compareTruth(stack, join(stack.dir, 'truth'));
  assert.deepEqual(truth.problems, []);
  assert.ok(truth.acknowledged >= 180 && truth.answered > 0, JSON.stringify(truth));
  const verified = await stack.ctl(['ledger', 'verify']);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
});
