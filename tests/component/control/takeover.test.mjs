// Two replicas, killed and frozen at every marked point, while balances move, answers come late, twice or never, and
// ingest claims. Nothing is ordered twice, no switch-off is claimed against the truth, and when it is quiet every supply
// is what it should be.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { SECOND, Site } from './site.mjs';

const SEED = Number(process.env.PENSTOCK_TEST_SEED ?? 20261121);
let stack;
let count = 0;
before(async () => {
  stack = await startStack({ exclusive: true });
  await stack.query("select penstock.ensure_partitions((now() - interval '1 day')::date, (now() + interval '1 day')::date)");
});
after(() => stack.stop());

const makeSite = (options) => Site.make(stack, { code: `take-${++count}`, ...options });

function randomOf(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return { below: (n) => Math.floor(next() * n), chance: (percent) => next() * 100 < percent };
}

// The line: takes what is ordered, claims, moves relays, and answers as badly as it likes. Kept in step with the truth.
class Line {
  constructor(site, random) {
    Object.assign(this, { site, random, relays: new Map(site.points.map((p) => [p.num, 'on'])), done: new Set(), wrong: [], isBad: true, clock: 0 });
  }

  // Times of looks rise, as those of one meter's clock do.
  now() {
    this.clock = Math.max(this.clock + 1, Date.now());
    return this.clock;
  }

  async turn() {
    const { site, random } = this;
    const { rows } = await stack.query("select * from control.command where company_id = $1 and state in ('issued', 'sent') order by operation <> 'switch_on', issued_at limit 200", [site.company]);
    for (const command of rows.filter(({ id }) => !this.done.has(id))) {
      if (this.isBad && random.chance(30)) continue; // not this time
      await this.carryOut(command);
    }
  }

  async carryOut(command) {
    const { site, random } = this;
    const point = command.usage_point_num;
    if (command.operation === 'switch_off') {
      const truth = async () => (await stack.query('select level from billing.purse where num = $1', [site.points.find((p) => p.num === point).purse])).rows[0].level;
      let level;
      const { claimed, reason } = await site.asIngest(async (client) => {
        const answer = (await client.query('select claimed, reason from control.claim_switch_off($1, $2, $3)', [site.company, command.id, new Date()])).rows[0];
        if (answer.claimed) level = await truth(); // the claim holds the purse: nobody can have changed it
        return answer;
      });
      this.done.add(command.id);
      if (!claimed) return site.finish(command, 'refused', { reason, at: this.now() });
      if (level !== 3) this.wrong.push({ command, level });
      if (this.isBad && random.chance(15)) return site.finish(command, 'unknown', { reason: 'session_lost', at: this.now() });
      this.relays.set(point, 'off');
      if (this.isBad && random.chance(15)) return site.finish(command, 'unknown', { reason: 'no_answer', at: this.now() });
    } else if (command.operation === 'switch_on') {
      this.done.add(command.id);
      if (this.isBad && random.chance(20)) return site.finish(command, 'failed', { reason: 'no_answer', at: this.now() });
      this.relays.set(point, 'on');
    } else this.done.add(command.id);
    const id = await site.finish(command, 'verified', { state: this.relays.get(point), at: this.now() });
    if (this.isBad && random.chance(20)) await site.ring('command-results', id);
    return id;
  }

  async poll() {
    for (const point of this.site.points) await this.site.observe(point, this.relays.get(point.num), this.now());
  }
}

// Rows are locked in order, as by everybody else.
const touch = (site, what) =>
  stack.query(`update control.desired d set ${what} from (select usage_point_num from control.desired where company_id = $1 order by 1 for update) o
    where d.company_id = $1 and d.usage_point_num = o.usage_point_num`, [site.company]);

async function disturb(site, random) {
  const point = site.points[random.below(site.points.length)];
  const balance = random.chance(50) ? -1_000_000n : 20_000_000n;
  const { level_version: version } = await site.setBalance(point, balance, { tell: random.chance(70) });
  if (random.chance(20)) await site.tellLevel(point, random.below(4), version - 3n, 0n); // an old one, told again
  if (random.chance(10)) await site.ring('balances', randomUUID());
}

async function settle(site, line) {
  line.isBad = false;
  for (const point of site.points) {
    const { rows } = await stack.query('select balance_micro, level, level_version from billing.purse where num = $1', [point.purse]);
    await site.tellLevel(point, rows[0].level, rows[0].level_version, rows[0].balance_micro);
  }
  const wrong = async () => {
    // What a person would wait minutes for is brought forward: deadlines of frames, pauses between tries.
    await stack.query("update control.command set sent_at = sent_at - interval '10 minutes' where company_id = $1 and operation = 'switch_off' and state in ('sent', 'unknown')", [site.company]);
    await touch(site, "watch_at = now(), observed_at = observed_at - interval '2 minutes'");
    line.clock = Date.now();
    await line.turn();
    await line.poll();
    await sleep(150);
    const { rows } = await stack.query(
      `select d.usage_point_num as point, d.state, d.version, d.verified_version, d.observed, p.level, d.waits_for
       from control.desired d join core.usage_point_account a on a.company_id = d.company_id and a.usage_point_num = d.usage_point_num join billing.purse p on p.num = a.purse_num
       where d.company_id = $1 and d.version > 0`, [site.company]);
    return rows.filter((row) => (row.level === 3) !== (row.state === 'off') || row.state !== row.observed || row.verified_version !== row.version || line.relays.get(row.point) !== row.state);
  };
  let left;
  await waitFor(async () => (left = await wrong()).length === 0, { what: 'every supply as it should be', within_ms: 40_000 })
    .catch((error) => assert.fail(`seed ${SEED}: ${error.message}: ${JSON.stringify(left, (_, v) => (typeof v === 'bigint' ? Number(v) : v))}`));
}

async function storm(site, random, seconds, each = async () => {}) {
  // No limit in the way: this is about order, not about numbers.
  await stack.query("insert into core.usage_point (company_id, id, property_num, place_num, utility, name) select $1, gen_random_uuid(), $2, $3, 'gas', 'x' from generate_series(1, 20000)", [site.company, site.property, site.room]);
  const line = new Line(site, random);
  const until = Date.now() + seconds * SECOND;
  while (Date.now() < until) {
    for (let i = 0; i < 4; i++) await disturb(site, random);
    if (random.chance(30)) await touch(site, 'watch_at = now()');
    await line.turn();
    if (random.chance(20)) await line.poll();
    await each(line);
  }
  await settle(site, line);
  assert.deepEqual(line.wrong, []);
  const twice = await stack.query("select version from control.command where company_id = $1 and operation = 'switch_off' group by usage_point_num, version having count(*) > 1", [site.company]);
  assert.deepEqual(twice.rows, [], 'a version is ordered off once');
  const dead = await stack.query('select refused from control.inbox where refused is not null');
  assert.deepEqual(dead.rows, []);
  return stack.value("select count(*)::int from control.command where company_id = $1 and operation = 'switch_off' and sent_at is not null", [site.company]);
}

test('two replicas in a storm', async () => {
  const random = randomOf(SEED);
  const site = await makeSite();
  await site.addPoints(20);
  const replicas = [await stack.spawnService('control'), await stack.spawnService('control')];
  for (const replica of replicas) await replica.ready();
  const cuts = await storm(site, random, 8);
  assert.ok(cuts > 10, `only ${cuts} switch-offs`);
  for (const replica of replicas) await replica.stop();
});

const CRASH_POINTS = ['consumer.before_commit', 'consumer.after_commit', 'control.before_commit', 'control.after_commit', 'relay.before_announce', 'relay.before_mark'];

for (const point of CRASH_POINTS) {
  test(`kill -9 at ${point}: the other carries on`, async () => {
    const random = randomOf(SEED + point.length);
    const site = await makeSite();
    await site.addPoints(6);
    const doomed = await stack.spawnService('control', { PENSTOCK_CRASH_POINT: `${point}:5` });
    await doomed.ready();
    const wait = waitFor(() => !doomed.isAlive, { what: 'its end', within_ms: 20_000 });
    let heir;
    await storm(site, random, 2, async () => {
      if (doomed.isAlive || heir) return;
      heir = await stack.spawnService('control');
      await heir.ready();
    });
    await wait;
    assert.equal((await doomed.exit()).signal, 'SIGKILL');
    if (heir) await heir.stop();
  });
}

for (const point of ['consumer.before_commit', 'control.before_commit', 'relay.before_mark']) {
  test(`frozen at ${point}: its locks pass on, and thawed it does no harm`, async () => {
    const random = randomOf(SEED + 100 + point.length);
    const site = await makeSite();
    await site.addPoints(4);
    const frozen = await stack.spawnService('control', { PENSTOCK_CRASH_POINT: `${point}:4:stop` });
    await frozen.ready();
    for (const p of site.points) await site.setBalance(p, -1n);
    await sleep(700);
    const heir = await stack.spawnService('control');
    await heir.ready();
    await storm(site, random, 2);
    frozen.kill('SIGCONT');
    await sleep(500);
    await storm(site, randomOf(SEED), 1);
    await frozen.stop();
    await heir.stop();
  });
}

test('PostgreSQL and Redis go away and come back', async () => {
  const site = await makeSite();
  const [first, second] = await site.addPoints(2);
  const control = await stack.spawnService('control');
  await control.ready();
  await stack.stopRedis();
  await site.setBalance(first, -1n, { tell: false });
  const { rows } = await stack.query('select level_version from billing.purse where num = $1', [first.purse]);
  await site.tellLevel(first, 3, rows[0].level_version, -1n, { ring: false });
  const off = await site.issued(first, 'switch_off', { within_ms: 20_000 });
  assert.equal((await site.claim(off)).claimed, true);
  await stack.startRedis();
  await stack.stopPostgres({ mode: 'immediate' });
  await stack.startPostgres();
  await site.finish(off, 'verified', { state: 'off' });
  await site.settled(first, 'off', { within_ms: 30_000 });
  await site.cut(second);
  await control.stop();
});
