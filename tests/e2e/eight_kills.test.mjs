// Eight ways to lose a part under load, with two replicas of ingest and billing; after each the system works again by
// itself, and at the end the ledger and the fleet's own truth log agree to the last unit: nothing lost, nothing twice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startSystem } from '../support/system.mjs';
import { sleep } from '../support/wait.mjs';

let system;

before(async () => {
  system = await startSystem({ meters: 100, days: 2 });
  await system.works();
});
after(() => system?.stop());

describe('eight kills under load', { concurrency: false }, () => {
  test('1. a billing replica is killed: the other takes its partitions', async () => {
    await system.service('billing-1').killNow();
    await system.works();
    await system.restart('billing-1');
  });

  test('2. a billing replica freezes for 20 s and wakes with old memory: it is fenced', async () => {
    const frozen = system.service('billing-2');
    frozen.freeze();
    await sleep(20_000);
    await system.works();
    frozen.thaw();
    await system.works();
    assert.ok(frozen.isAlive);
  });

  test('3. an ingest replica is killed: its gateways connect to the other', async () => {
    await system.service('ingest-1').killNow();
    await system.works();
    await system.restart('ingest-1');
  });

  test('4. an ingest replica freezes for 10 s: it goes on where it was', async () => {
    const frozen = system.service('ingest-2');
    frozen.freeze();
    await sleep(10_000);
    frozen.thaw();
    await system.works();
  });

  test('5. Redis is flushed', async () => {
    await system.stack.flushRedis();
    await system.works();
  });

  test('6. Redis is killed and comes back empty-handed', async () => {
    await system.stack.stopRedis({ mode: 'kill' });
    await system.works();
    await system.stack.startRedis();
    await system.works();
  });

  test('7. Redis is full: every write is refused', async () => {
    await system.stack.redis('CONFIG', 'SET', 'maxmemory', '1');
    await system.works();
    await system.stack.redis('CONFIG', 'SET', 'maxmemory', '0');
    await system.works();
  });

  test('8. PostgreSQL stops as in a power cut', async () => {
    await system.stack.stopPostgres({ mode: 'immediate' });
    await sleep(3_000);
    await system.stack.startPostgres();
    await system.works();
  });
});

describe('what remains', { concurrency: false }, () => {
  let truth;

  test('every acknowledged reading is stored exactly once, with its value', async () => {
    truth = await system.stopFleet();
    await system.drained();
    const acknowledged = truth.filter((line) => line.event === 'acknowledged' && line.register === 'active_energy_total');
    assert.ok(acknowledged.length >= 20, `the fleet pushed too little to prove anything: ${acknowledged.length}`);
    const { rows } = await system.stack.query(`
      select m.bus_address as meter, r.read_at, r.value, count(*) as times
      from billing.reading r join core.channel c on c.num = r.channel_num join core.meter m on m.num = c.meter_num
      where r.register = 0 group by 1, 2, 3`);
    const stored = new Map(rows.map((row) => [`${row.meter} ${row.read_at.toISOString()} ${row.value}`, row.times]));
    for (const line of acknowledged) {
      const value = BigInt(line.value.replace('.', '')) * 10n; // 0.01 kWh to Wh
      const key = `${line.meter} ${new Date(line.at).toISOString()} ${value}`;
      assert.equal(stored.get(key), 1n, `the acknowledged reading ${key}`);
    }
  });

  test('no reading was refused, quarantined or buried', async () => {
    const { rows } = await system.stack.query(`
      select 'quarantine' as place, reason || ' ' || detail as why, count(*) from billing.quarantine group by 1, 2
      union all select 'dead letter', error, count(*) from billing.dead_letter group by 1, 2
      union all select 'refused', reason || ' ' || detail, count(*) from ingest.refused_reading group by 1, 2`);
    assert.deepEqual(rows, []);
  });

  test('each point was charged for exactly what its meter counted', async () => {
    const { rows } = await system.stack.query(`
      select m.bus_address as meter, p.last_value,
             p.last_value * c.ratio_num / c.ratio_den - ci.opening_value * c.ratio_num / c.ratio_den as used,
             (select coalesce(sum(ch.quantity), 0) from billing.charge ch
              where ch.usage_point_num = p.num and ch.kind = 0) as charged,
             h.num is not null as is_held
      from billing.point p
      join core.channel_installation ci on ci.usage_point_num = p.num and ci.to_at is null
      join core.channel c on c.num = ci.channel_num join core.meter m on m.num = c.meter_num
      left join core.usage_point_account h on h.usage_point_num = p.num and h.to_at is null and h.from_at <= ci.from_at`);
    assert.ok(rows.length > 0);
    const finals = new Map(truth.filter((line) => line.event === 'final').map((line) => [line.meter, line]));
    for (const row of rows) {
      if (row.is_held) assert.equal(BigInt(row.charged), row.used, `what ${row.meter} was charged for`);
      const final = finals.get(row.meter);
      if (!final) continue;
      const shown = BigInt(final.active_energy_total.replace('.', '')) * 10n;
      assert.ok(row.last_value <= shown, `${row.meter} is charged up to ${row.last_value} but shows ${shown}`);
    }
  });

  test('the ledger verifies', async () => {
    const { code, stdout, stderr } = await system.verify();
    assert.equal(code, 0, stdout + stderr);
  });
});
