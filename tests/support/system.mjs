// The whole system from outside: servers, two replicas of ingest and billing, the api, and a fleet of simulated meters
// that keeps its own truth log.
import { readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { program, startStack } from './stack.mjs';
import { freePort, waitFor, withDeadline } from './wait.mjs';

export async function startSystem({ meters = 60, days = 2, pollSeconds = 5, replicas = 2, withApi = false } = {}) {
  const stack = await startStack({ exclusive: true });
  const system = new System(stack, { pollSeconds, replicas, withApi });
  try {
    await system.start({ meters, days });
  } catch (error) {
    await stack.stop().catch(() => {});
    throw error;
  }
  return system;
}

class System {
  constructor(stack, options) {
    this.stack = stack;
    this.options = options;
    this.services = new Map(); // "billing-1" → Service
    this.truthPath = path.join(stack.dir, 'truth.jsonl');
    this.controlPath = path.join(stack.dir, 'fleet.sock');
  }

  async start({ meters, days }) {
    this.ports = { http: await freePort(), tcp: await freePort() };
    this.fleetPath = path.join(this.stack.dir, 'fleet.json');
    const args = ['demo', 'load', '--meters', String(meters), '--days', String(days), '--fleet-out', this.fleetPath];
    const { code, stdout, stderr } = await this.stack.ctl(args, { within_ms: 120_000, env: this.listen() });
    if (code !== 0) throw new Error(`demo load: ${stdout}${stderr}`);
    this.logins = stdout;
    // Faster than any demo: every property is polled each few seconds.
    await this.stack.query('update core.property set poll_interval_s = $1', [this.options.pollSeconds]);
    await this.quicken();
    for (let i = 1; i <= this.options.replicas; i++) {
      await this.startService('ingest', i);
      await this.startService('billing', i);
    }
    if (this.options.withApi) await this.startService('api', 1);
    await Promise.all([...this.services.values()].map((service) => service.ready({ within_ms: 30_000 })));
    await this.drained({ within_ms: 120_000 }); // the history
    await this.startFleet();
  }

  // Replicas of ingest share their ports.
  listen() {
    return {
      PENSTOCK_INGEST_HTTP_LISTEN: `127.0.0.1:${this.ports.http}`,
      PENSTOCK_INGEST_TCP_LISTEN: `127.0.0.1:${this.ports.tcp}`,
      PENSTOCK_REUSE_PORT: '1',
    };
  }

  async startService(name, number) {
    const env = name === 'ingest' ? this.listen() : {};
    const service = await this.stack.spawnService(name, env);
    this.services.set(`${name}-${number}`, service);
    return service;
  }

  service(key) {
    return this.services.get(key);
  }

  async restart(key) {
    const [name, number] = key.split('-');
    const service = await this.startService(name, number);
    await service.ready({ within_ms: 30_000 });
  }

  // HTTP gateways push as often as the others are polled.
  async quicken() {
    const fleet = JSON.parse(await readFile(this.fleetPath, 'utf8'));
    fleet.tcp = `127.0.0.1:${this.ports.tcp}`;
    fleet.http = `127.0.0.1:${this.ports.http}`;
    for (const gateway of fleet.gateways) if (gateway.kind === 'http') gateway.interval_s = this.options.pollSeconds;
    await writeFile(this.fleetPath, JSON.stringify(fleet));
  }

  async startFleet() {
    const args = ['--config', this.fleetPath, '--truth', this.truthPath, '--control', this.controlPath, '--drain', '20'];
    this.fleet = this.stack.spawn('fleet', program('penstock-fleet'), args);
    await waitFor(() => this.order({ do: 'status' }), { what: 'the fleet answers', within_ms: 10_000 });
  }

  // One order on the fleet's control socket; answers its JSON line.
  order(line) {
    const answered = new Promise((resolve, reject) => {
      const socket = net.connect(this.controlPath);
      let text = '';
      socket.setEncoding('utf8');
      socket.on('error', reject);
      socket.on('data', (piece) => {
        text += piece;
        if (!text.includes('\n')) return;
        socket.destroy();
        resolve(JSON.parse(text));
      });
      socket.write(`${JSON.stringify(line)}\n`);
    });
    return withDeadline(answered, 5_000, 'the fleet to answer an order');
  }

  // Ends the fleet after everything it holds was sent, and answers its truth log.
  async stopFleet() {
    const { code } = await this.fleet.stop({ within_ms: 40_000 });
    if (code !== 0) throw new Error(`the fleet ended with ${code}\n${this.fleet.tail()}`);
    return this.truth();
  }

  async truth() {
    const text = await readFile(this.truthPath, 'utf8');
    return text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  }

  unclaimed() {
    return this.stack.value(`select count(*) from ingest.reading_block b
      where not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id)`);
  }

  // Every journaled block is claimed and no late reading waits for its replay.
  drained({ within_ms = 60_000 } = {}) {
    const check = async () =>
      (await this.unclaimed()) === 0n &&
      (await this.stack.value('select count(*) from billing.tier_window where dirty_since is not null')) === 0n;
    return waitFor(check, { what: 'every block claimed and every window replayed', within_ms, every_ms: 200 });
  }

  readings() {
    return this.stack.value('select count(*) from billing.reading');
  }

  // Waits until `more` further readings were booked: the system works.
  async works({ more = 50n, within_ms = 60_000 } = {}) {
    const before = await waitFor(() => this.readings(), { what: 'PostgreSQL answers', within_ms });
    await waitFor(async () => (await this.readings()) >= before + more, { what: `${more} further readings are booked`, within_ms, every_ms: 200 });
  }

  async verify() {
    return this.stack.ctl(['ledger', 'verify'], { within_ms: 120_000 });
  }

  stop() {
    return this.stack.stop();
  }
}
