// A late reading changes how usage is split over time of use: the correction is posted, proven and explained.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

const HOUR_MS = 3_600_000;
const HISTORY = 2; // reading flag

let stack, billing, room;

before(async () => {
  stack = await startStack();
  const { code, stderr } = await stack.ctl(['demo', 'load', '--meters', '12', '--days', '2']);
  assert.equal(code, 0, stderr);
  billing = await stack.spawnService('billing');
  await billing.ready();
  await waitFor(async () => (await stack.value('select count(*)::integer from billing.reading')) === 12 * 48, { what: 'history charged', within_ms: 30_000 });
  const { rows } = await stack.query(`
    select p.num, p.company_id, p.partition, p.channel_num, p.last_at, p.last_value
    from billing.point p join core.usage_point up on up.num = p.num join core.property o on o.num = up.property_num
    where o.code = 'mall' and p.account_num <> 0 order by p.num limit 1`);
  room = rows[0];
});
after(() => stack.stop());

let blocks = 0;

// One reading of the room, as ingest journals it: channel 8, time 8, value 8, register, quality, flags 2, company 4.
async function journal(at, value, flags) {
  const record = Buffer.alloc(32);
  record.writeBigInt64LE(room.channel_num, 0);
  record.writeBigInt64LE(BigInt(at), 8);
  record.writeBigInt64LE(value, 16);
  record.writeUInt16LE(flags, 26);
  record.writeInt32LE(room.company_id, 28);
  await stack.query('insert into ingest.reading_block (partition, id, received_at, record_count, records) values ($1, $2, now(), 1, $3)',
    [room.partition, ++blocks, record], { user: 'penstock_ingest' });
}

const corrections = () => stack.query('select id, amount_micro, corrects from billing.charge where kind = 1 order by id').then(({ rows }) => rows);
const verify = () => stack.ctl(['ledger', 'verify']);

test('a stretch over half a day is charged by time', async () => {
  const end = room.last_at.getTime();
  await journal(end + 12 * HOUR_MS, room.last_value + 24_000n, 0);
  await waitFor(async () => (await stack.value('select last_value from billing.point where num = $1', [room.num])) === room.last_value + 24_000n, { what: 'the new reading charged' });
  assert.deepEqual(await corrections(), []);
  const { code, stdout } = await verify();
  assert.equal(code, 0, stdout);
});

test('a late reading inside it is corrected, proven and explained', async () => {
  // Nearly all of it was used in the first hour: other bands than time alone would say.
  await journal(room.last_at.getTime() + HOUR_MS, room.last_value + 23_000n, HISTORY);
  await waitFor(async () => (await corrections()).length === 1, { what: 'the correction', within_ms: 30_000 });
  const [correction] = await corrections();
  assert.notEqual(correction.amount_micro, 0n);
  const { code, stdout } = await verify();
  assert.equal(code, 0, stdout);
  assert.match(stdout, /corrections name their base +1 {2}ok/);
  const why = JSON.parse((await stack.ctl(['charge', 'explain', String(correction.id), '--json'])).stdout);
  assert.equal(why.charge.cause, 'correction');
  assert.match(why.sentences.at(-1), /late or corrected reading.*difference/);
  const base = await stack.ctl(['charge', 'explain', String(correction.corrects), '--json']);
  assert.equal(base.code, 0, base.stderr);
  assert.equal(JSON.parse(base.stdout).charge.cause, 'reading');
});

test('one that contradicts its neighbours is set aside and changes nothing', async () => {
  await journal(room.last_at.getTime() + 2 * HOUR_MS, room.last_value - 5_000n, HISTORY);
  await waitFor(async () => (await stack.value('select count(*)::integer from billing.quarantine')) === 1, { what: 'the quarantine' });
  assert.equal((await corrections()).length, 1);
  assert.equal((await verify()).code, 0);
  assert.equal(JSON.parse((await stack.ctl(['status', '--json'])).stdout).quarantine, 1);
});

test('a repetition is no loss', async () => {
  await journal(room.last_at.getTime() + HOUR_MS, room.last_value + 23_000n, HISTORY);
  await journal(room.last_at.getTime() + 12 * HOUR_MS, room.last_value + 24_000n, 0);
  await waitFor(async () => (await stack.value('select count(*)::integer from billing.block_claim where block_id <= 100')) === blocks, { what: 'all blocks claimed' });
  const { code, stdout } = await verify();
  assert.equal(code, 0, stdout);
  assert.equal((await corrections()).length, 1);
});

test('a wrong correction is found', async () => {
  await billing.stop();
  await stack.query(`
    with wrong as (update billing.charge set amount_micro = amount_micro - 10000 where kind = 1 returning id, purse_num, amount_micro),
    moved as (update billing.transfer t set amount_micro = abs(wrong.amount_micro) from wrong where t.id = wrong.id)
    update billing.purse p set balance_micro = balance_micro + 10000 from wrong where p.num = wrong.purse_num`);
  const { code, stdout } = await verify();
  assert.equal(code, 1);
  assert.match(stdout, /was charged -10000 more than its readings give/);
});
