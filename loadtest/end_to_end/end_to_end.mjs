// Accepted → balance visible, at the rate of ten million meters read every 15 minutes, then in a burst of ten times that.
//
//   node loadtest/end_to_end/end_to_end.mjs [--points 100000] [--rate 11000] [--seconds 60] [--burst 60] [--replicas 1]
//
// Private servers, ingest and billing of PENSTOCK_BUILD_DIR (default build/release), a fleet in open loop. A sample of
// the meters is watched: a reading counts as accepted when its gateway has the server's answer, and as visible when the
// point's row (updated in the same transaction as the purse's balance) shows it. Polled every 25 ms, told after the
// poll's answer: the figures are upper bounds. Prints one JSON object; exit status 1 when a bound is missed.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

process.env.PENSTOCK_BUILD_DIR ??= 'build/release';
process.env.PENSTOCK_STACK_BUFFERS ??= '1GB';
const { startStack, program } = await import('../../tests/support/stack.mjs');
const { sleep, waitFor } = await import('../../tests/support/wait.mjs');
const { seed } = await import('./seed.mjs');

const { values: options } = parseArgs({
  options: {
    points: { type: 'string', default: '100000' },
    rate: { type: 'string', default: '11000' },
    seconds: { type: 'string', default: '60' },
    burst: { type: 'string', default: '60' },
    settle: { type: 'string', default: '15' },
    sample: { type: 'string', default: '400' },
    replicas: { type: 'string', default: '1' },
  },
});
const [points, rate, seconds, burst, settle, sampled, replicas] = ['points', 'rate', 'seconds', 'burst', 'settle', 'sample', 'replicas'].map(
  (name) => Number(options[name]),
);

const BOUNDS = { p50_ms: 250, p99_ms: 1000, burst_p99_ms: 30_000 };
const POLL_MS = 25;
const note = (text) => process.stderr.write(`# ${text}\n`);

function quantile(sorted, share) {
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

const summary = (latencies) => {
  const sorted = [...latencies].sort((a, b) => a - b);
  return { readings: sorted.length, p50_ms: quantile(sorted, 0.5), p99_ms: quantile(sorted, 0.99), max_ms: sorted.at(-1) ?? null };
};

const statusOf = (pid, key) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
// User and system time of all threads, in the kernel's ticks of 10 ms.
const cpuMs = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

// Of all processes of the private PostgreSQL server, the ended ones included.
function postgresCpuMs(postmaster) {
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').split(' ').filter(Boolean);
  const ended = readFileSync(`/proc/${postmaster}/stat`, 'utf8').split(') ')[1].split(' ');
  let sum = cpuMs(postmaster) + (Number(ended[13]) + Number(ended[14])) * 10;
  for (const pid of children) {
    try {
      sum += cpuMs(pid);
    } catch {
      continue; // it ended meanwhile
    }
  }
  return sum;
}

// Watches the sampled points: a list per point of [last_at, seen_at], each time it rose.
function watch(stack, client, pointNums) {
  const seen = new Map(pointNums.map((num) => [num, []]));
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      const { rows } = await client.query({
        name: 'watch',
        text: `select num, (extract(epoch from last_at) * 1000)::bigint as at from billing.point where num = any ($1)`,
        values: [pointNums],
      });
      const now = Date.now();
      for (const row of rows) {
        const list = seen.get(row.num);
        const at = Number(row.at);
        if (list.length === 0 || list.at(-1)[0] < at) list.push([at, now]);
      }
      await sleep(POLL_MS);
    }
  })();
  return { seen, stop: () => ((stopped = true), done) };
}

// Latencies of the acknowledged readings in the truth log whose answer came within [from, to); unseen ones are counted.
function judge(truth, seen, pointOf, from, to) {
  const latencies = [];
  let unseen = 0;
  for (const line of truth) {
    if (line.event !== 'acknowledged') continue;
    const told = Date.parse(line.told_at);
    if (told < from || told >= to) continue;
    const hit = seen.get(pointOf.get(line.meter)).find(([at]) => at >= Date.parse(line.at));
    if (hit) latencies.push(Math.max(0, hit[1] - told));
    else unseen++;
  }
  return { ...summary(latencies), unseen };
}

async function account(stack, stats) {
  const value = async (text) => Number(await stack.value(text));
  return {
    sampled: stats.sampled,
    acknowledged: stats.acknowledged,
    refused: stats.refused,
    skipped: stats.skipped,
    pushes: stats.pushes,
    answered_503: stats.busy,
    unanswered: stats.unanswered,
    journaled: await value('select coalesce(sum(record_count), 0) from ingest.reading_block'),
    readings: await value('select count(*) from billing.reading'),
    distinct_readings: await value('select count(*) from (select distinct channel_num, epoch, register, read_at from billing.reading) d'),
    quarantined: await value('select count(*) from billing.quarantine'),
    dead_letters: await value('select count(*) from billing.dead_letter'),
    charges: await value('select count(*) from billing.charge'),
    unclaimed_blocks: await value(
      'select count(*) from ingest.reading_block b where not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id)',
    ),
  };
}

async function main() {
  const stack = await startStack({ exclusive: true });
  const work = join(stack.dir, 'load');
  mkdirSync(work);
  try {
    return await run(stack, work);
  } finally {
    await stack.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

async function startServices(stack) {
  const services = [];
  for (let i = 0; i < replicas; i++) {
    for (const name of ['ingest', 'billing']) {
      const service = await stack.spawnService(name, { PENSTOCK_LOG_LEVEL: 'warn' });
      await service.ready({ within_ms: 120_000 });
      services.push(service);
    }
  }
  return services;
}

async function run(stack, work) {
  const owner = await stack.connect();
  note(`writing ${points} usage points`);
  const masterKey = Buffer.from(readFileSync(stack.masterKeyFile, 'utf8').trim(), 'hex');
  const from = new Date().toISOString();
  const { company, gateways } = await seed(owner, { points, from, masterKey });
  const services = await startServices(stack);
  const memory_idle = services.map((service) => ({ service: service.name, rss: statusOf(service.pid, 'VmRSS') }));
  const ingest = services.find((service) => service.name === 'ingest');
  const config = join(work, 'fleet.json');
  writeFileSync(config, JSON.stringify({ seed: 1, http: `127.0.0.1:${ingest.ports.http}`, start_at: from, gateways }));

  const every = Math.max(1, Math.floor(points / sampled));
  const { rows } = await owner.query(
    `select m.bus_address, i.usage_point_num as num from core.meter m
     join core.channel c on c.company_id = m.company_id and c.meter_num = m.num
     join core.channel_installation i on i.company_id = c.company_id and i.channel_num = c.num
     where m.company_id = $1 and m.bus_address::bigint % $2 = 0`,
    [company, every],
  );
  const pointOf = new Map(rows.map((row) => [row.bus_address, row.num]));
  const watching = watch(stack, await stack.connect(), [...pointOf.values()]);

  const warm = 30;  // every point is read three times before the first figure: loading configuration is not the steady state
  const total = warm + seconds + (burst ? settle + burst : 0);
  const truthPath = join(work, 'truth');
  const args = ['--config', config, '--truth', truthPath, '--truth-every', String(every), '--stats', '--time-scale', '60'];
  args.push('--rate', String(rate), '--duration', String(total), '--drain', '120');
  if (burst) args.push('--burst', `10,${warm + seconds + settle},${burst}`);
  const begun = Date.now();
  const fleet = stack.spawn('fleet', program('penstock-fleet'), args);
  const postmaster = Number(readFileSync(join((await stack.value('show data_directory')).toString(), 'postmaster.pid'), 'utf8').split('\n')[0]);
  const before = services.map((service) => cpuMs(service.pid));
  const postgresBefore = postgresCpuMs(postmaster);
  const peaks = services.map(() => 0);
  while (fleet.isAlive) {
    await sleep(1000);
    const last = fleet.logs.at(-1);
    services.forEach((service, i) => (peaks[i] = Math.max(peaks[i], service.isAlive ? statusOf(service.pid, 'VmRSS') : 0)));
    if (last) note(`${Math.round((Date.now() - begun) / 1000)} s: ${last.acknowledged} acknowledged, ${last.pending} pending, ${last.busy} busy`);
  }
  const stats = fleet.logs.at(-1);
  const postgresMs = postgresCpuMs(postmaster) - postgresBefore; // before the counting below, which is not the product's
  const servicesMs = services.map((service, i) => cpuMs(service.pid) - before[i]);
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3);
  note('waiting for the last balance');
  await waitFor(
    async () => {
      const counts = await account(stack, stats);
      return counts.unclaimed_blocks === 0;
    },
    { what: 'every block claimed', within_ms: 180_000, every_ms: 1000 },
  );
  await sleep(1000);
  await watching.stop();
  const truth = readFileSync(truthPath, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const at = (second) => begun + second * 1000;
  const steady = judge(truth, watching.seen, pointOf, at(warm), at(warm + seconds));
  const bursting = burst ? judge(truth, watching.seen, pointOf, at(warm + seconds + settle), Infinity) : null;
  const counts = await account(stack, stats);
  const bounded = {
    steady_p50: steady.p50_ms <= BOUNDS.p50_ms,
    steady_p99: steady.p99_ms <= BOUNDS.p99_ms,
    burst_p99: !bursting || bursting.p99_ms <= BOUNDS.burst_p99_ms,
    nothing_lost: counts.journaled >= stats.acknowledged && counts.distinct_readings >= stats.acknowledged && steady.unseen + (bursting?.unseen ?? 0) === 0,
    nothing_twice: counts.readings === counts.distinct_readings,
    no_dead_letters: counts.dead_letters === 0,
  };
  return {
    points,
    rate,
    seconds,
    burst_seconds: burst,
    replicas,
    steady,
    burst: bursting,
    acknowledge_ms: { p50: stats.ack_p50_us / 1000, p99: stats.ack_p99_us / 1000 },
    counts,
    services: services.map((service, i) => ({
      service: service.name,
      rss_idle_mib: Math.round(memory_idle[i].rss / 1048576),
      rss_peak_mib: Math.round(peaks[i] / 1048576),
      cpu_us_per_reading: Math.round((servicesMs[i] * 100_000) / stats.acknowledged) / 100,
    })),
    postgres_cpu_us_per_reading: Math.round((postgresMs * 100_000) / stats.acknowledged) / 100,
    load_average: load,
    last_balance_after_s: Math.round((Date.now() - begun) / 1000) - total,
    held: bounded,
  };
}

const result = await main();
console.log(JSON.stringify(result, null, 2));
process.exitCode = Object.values(result.held).every(Boolean) ? 0 : 1;
