// What a component test stands on: a private PostgreSQL database and Redis, the product's programs, and their ends.
//
//   const stack = await startStack();              // own database, migrated; own Redis
//   after(() => stack.stop());
//   const billing = await stack.spawnService('billing');
//   await billing.ready();
//   const { rows } = await stack.query('select count(*) from billing.point');
//
// The PostgreSQL server is shared between test files where ./test started one (PENSTOCK_TEST_STACK), each with its own
// database copied from a migrated template. A test that stops or kills PostgreSQL asks for { exclusive: true }.
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { Child, runProgram } from './child.mjs';
import { redisCommand } from './redis.mjs';
import { freePort, waitFor } from './wait.mjs';

pg.types.setTypeParser(pg.types.builtins.INT8, (text) => BigInt(text)); // money and ids never pass through a double

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const STACK = path.join(ROOT, 'tools/dev/stack');

// The build folder under test: PENSTOCK_BUILD_DIR, else debug (crash points are compiled in), else asan, else release.
export function buildDir() {
  const chosen = process.env.PENSTOCK_BUILD_DIR;
  if (chosen) return path.resolve(ROOT, chosen);
  const found = ['debug', 'asan', 'release'].map((name) => path.join(ROOT, 'build', name)).find((dir) => existsSync(path.join(dir, 'bin')));
  return found ?? path.join(ROOT, 'build/debug');
}

export const program = (name) => path.join(buildDir(), 'bin', name);

async function stackCommand(...args) {
  const { code, stderr } = await runProgram(STACK, args, { within_ms: 180_000 });
  if (code !== 0) throw new Error(`tools/dev/stack ${args.join(' ')}: ${stderr.trim()}`);
}

async function readSockets(dir) {
  const { stdout } = await runProgram('bash', ['-c', '. "$1/env" && printf %s "$PENSTOCK_STACK_SOCKETS"', 'env', dir]);
  if (!stdout) throw new Error(`no servers run in ${dir}`);
  return stdout;
}

const quoted = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

async function migrationsHash() {
  const hash = createHash('sha256');
  const folder = path.join(ROOT, 'migrations');
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()) {
    hash.update(name).update(await readFile(path.join(folder, name)));
  }
  return hash.digest('hex').slice(0, 12);
}

async function withClient(options, work) {
  const client = new pg.Client(options);
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

async function migrate(sockets, database) {
  const conninfo = `host=${quoted(sockets)} port=5432 dbname=${database} user=postgres`;
  const { code, stdout, stderr } = await runProgram(await migrator(), ['migrate'], {
    env: { PENSTOCK_DATABASE: conninfo, PENSTOCK_MIGRATIONS_DIR: path.join(ROOT, 'migrations') },
    cwd: ROOT,
    within_ms: 120_000,
  });
  if (code !== 0) throw new Error(`penstockctl migrate: ${stdout}${stderr}`);
}

// The build under test's own penstockctl; where it was not built, the newest of another build folder.
async function migrator() {
  if (existsSync(program('penstockctl'))) return program('penstockctl');
  const others = (await readdir(path.join(ROOT, 'build')).catch(() => [])).map((name) => path.join(ROOT, 'build', name, 'bin/penstockctl')).filter(existsSync);
  const dated = await Promise.all(others.map(async (file) => ({ file, at: (await stat(file)).mtimeMs })));
  if (dated.length === 0) throw new Error(`${program('penstockctl')} was not built: nothing can migrate the database`);
  return dated.sort((a, b) => b.at - a.at)[0].file;
}

// A fresh database in a shared server, copied from the template of these migrations; the first to come makes the template
// under a lock.
async function createFromTemplate(sockets, database, migrated) {
  const template = migrated ? `template_${await migrationsHash()}` : 'template0';
  await withClient({ host: sockets, user: 'postgres', database: 'postgres' }, async (client) => {
    await client.query("select pg_advisory_lock(hashtext('penstock test template'))");
    if (migrated) {
      const { rowCount } = await client.query('select from pg_database where datname = $1', [template]);
      if (rowCount === 0) {
        await client.query('drop database if exists template_unfinished');
        await client.query('create database template_unfinished');
        await migrate(sockets, 'template_unfinished');
        await client.query(`alter database template_unfinished rename to ${template}`);
      }
    }
    await client.query(`create database ${database} template ${template}`);
  });
}

class Service extends Child {
  constructor(name, args, env, ports) {
    super(name, program(`penstock-${name}`), args, { env, cwd: ROOT });
    this.ports = ports;
  }

  get adminUrl() {
    return `http://127.0.0.1:${this.ports.admin}`;
  }

  // True once /readyz says so; a service that ended meanwhile is told with its last lines.
  async ready({ within_ms = 20_000 } = {}) {
    const check = async () => {
      if (!this.isAlive) return 'ended';
      return (await get(`${this.adminUrl}/readyz`)).status === 200;
    };
    const answer = await waitFor(check, { what: `${this.name} ready`, within_ms, every_ms: 50 }).catch((error) => {
      throw new Error(`${error.message}\n${this.tail()}`);
    });
    if (answer === 'ended') throw new Error(`${this.name} ended before it was ready\n${this.tail()}`);
    return this;
  }

  // The sum of a metric over the label sets that contain the given labels; 0 where it does not exist yet.
  async metric(name, labels = {}) {
    const { body } = await get(`${this.adminUrl}/metrics`);
    let sum = 0;
    for (const line of body.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
      if (!match || match[1] !== name) continue;
      if (Object.entries(labels).every(([key, value]) => (match[2] ?? '').includes(`${key}="${value}"`))) sum += Number(match[3]);
    }
    return sum;
  }
}

// A plain request without keep-alive, so that a killed server never meets a kept connection.
export function get(url, { method = 'GET', headers = {}, body, within_ms = 10_000 } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false, timeout: within_ms }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString('utf8') }));
    });
    request.on('timeout', () => request.destroy(new Error(`${method} ${url}: no answer within ${within_ms} ms`)));
    request.on('error', reject);
    request.end(body);
  });
}

export class Stack {
  constructor(fields) {
    Object.assign(this, fields);
    this.children = [];
    this.clients = new Map();
  }

  get conninfo() {
    return `host=${quoted(this.sockets)} port=5432 dbname=${this.database}`;
  }

  get ownerConninfo() {
    return `${this.conninfo} user=postgres`;
  }

  get redisUrl() {
    return `unix:${this.redisPath}`;
  }

  // What every program of the product needs to find its servers.
  get env() {
    return {
      PENSTOCK_DATABASE: this.conninfo,
      PENSTOCK_REDIS: this.redisUrl,
      PENSTOCK_MASTER_KEY_FILE: this.masterKeyFile,
      PENSTOCK_MIGRATIONS_DIR: path.join(ROOT, 'migrations'),
      PENSTOCK_LOG_LEVEL: process.env.PENSTOCK_TEST_LOG_LEVEL ?? 'info',
      TZ: 'UTC',
    };
  }

  migrate() {
    return migrate(this.sockets, this.database);
  }

  // A client of one's own, as any role: the caller ends it.
  async connect({ user = 'postgres' } = {}) {
    const client = new pg.Client({ host: this.sockets, user, database: this.database });
    client.on('error', () => {}); // a killed server is what some tests want
    await client.connect();
    return client;
  }

  // One statement on a kept connection of the role, opened again where the server was restarted.
  async query(text, values = [], { user = 'postgres' } = {}) {
    let client = this.clients.get(user);
    if (!client || client.isGone) {
      client = await this.connect({ user });
      client.once('end', () => (client.isGone = true));
      client.once('error', () => (client.isGone = true));
      this.clients.set(user, client);
    }
    return client.query(text, values);
  }

  // The first column of the first row.
  async value(text, values = [], options = {}) {
    const { rows } = await this.query(text, values, options);
    return rows.length === 0 ? undefined : Object.values(rows[0])[0];
  }

  redis(...args) {
    return redisCommand(this.redisPath, args);
  }

  spawn(name, command, args = [], { env = {}, ...options } = {}) {
    const child = new Child(name, command, args, { env: { ...this.env, ...env }, cwd: ROOT, ...options });
    this.children.push(child);
    return child;
  }

  // Starts build/…/bin/penstock-<name> on free ports; `await service.ready()` waits for /readyz.
  async spawnService(name, env = {}, args = []) {
    const ports = { admin: await freePort() };
    const listen = { PENSTOCK_ADMIN_LISTEN: `127.0.0.1:${ports.admin}` };
    if (name === 'api') {
      listen.PENSTOCK_API_LISTEN = `127.0.0.1:${(ports.http = await freePort())}`;
      listen.PENSTOCK_WEB_DIR = path.join(ROOT, 'web/dist');
    }
    if (name === 'ingest') {
      listen.PENSTOCK_INGEST_HTTP_LISTEN = `127.0.0.1:${(ports.http = await freePort())}`;
      listen.PENSTOCK_INGEST_TCP_LISTEN = `127.0.0.1:${(ports.tcp = await freePort())}`;
      listen.PENSTOCK_INGEST_DRAIN_S = '0';
    }
    if (name === 'payments') {
      listen.PENSTOCK_PAYMENTS_LISTEN = `127.0.0.1:${(ports.http = await freePort())}`;
      listen.PENSTOCK_PAYMENTS_NOTIFY_URL = `http://127.0.0.1:${ports.http}`;
    }
    if (name === 'alerts') listen.PENSTOCK_ALERTS_LISTEN = `127.0.0.1:${(ports.http = await freePort())}`;
    const service = new Service(name, args, { ...this.env, ...listen, ...env }, ports);
    this.children.push(service);
    return service;
  }

  // Runs penstockctl to its end: { code, stdout, stderr }.
  ctl(args, { env = {}, input, within_ms = 60_000 } = {}) {
    return runProgram(program('penstockctl'), args, { env: { ...this.env, ...env }, cwd: ROOT, input, within_ms });
  }

  async stopRedis({ mode = 'kill' } = {}) {
    await stackCommand('stop', 'redis', '--mode', mode, '--dir', this.dir);
  }

  async startRedis() {
    await stackCommand('up', 'redis', '--dir', this.dir);
  }

  flushRedis() {
    return this.redis('FLUSHALL');
  }

  // mode: fast, immediate (as after a power cut) or kill. Only with { exclusive: true }.
  async stopPostgres({ mode = 'immediate' } = {}) {
    if (this.isShared) throw new Error('this PostgreSQL is shared: startStack({ exclusive: true }) to stop it');
    await stackCommand('stop', 'postgres', '--mode', mode, '--dir', this.dir);
  }

  async startPostgres() {
    await stackCommand('up', 'postgres', '--dir', this.dir);
  }

  async stop() {
    for (const child of this.children.reverse()) if (child.isAlive) await child.killNow().catch(() => {});
    for (const client of this.clients.values()) await client.end().catch(() => {});
    if (this.isShared) {
      await withClient({ host: this.sockets, user: 'postgres', database: 'postgres' }, (client) =>
        client.query(`drop database if exists ${this.database} with (force)`),
      ).catch(() => {});
    }
    await stackCommand('purge', '--dir', this.dir);
    await rm(this.dir, { recursive: true, force: true });
    // A test may look elsewhere, a sanitizer's finding fails its file all the same.
    const found = this.children.find((child) => child.sanitizerReport);
    if (found) throw new Error(`${found.name} was reported by a sanitizer:\n${found.sanitizerReport}`);
  }
}

// options: exclusive (own PostgreSQL server), migrated (false: an empty database), redis (false: none).
export async function startStack({ exclusive = false, migrated = true, redis = true } = {}) {
  const shared = exclusive ? undefined : process.env.PENSTOCK_TEST_STACK;
  const dir = await mkdtemp(path.join(os.tmpdir(), 'penstock-test-'));
  await chmod(dir, 0o711);
  const owner = ['--owner', String(process.pid)];
  if (shared) {
    if (redis) await stackCommand('up', 'redis', '--dir', dir, ...owner);
  } else {
    await stackCommand('up', ...(redis ? [] : ['postgres']), '--dir', dir, ...owner);
  }
  const sockets = await readSockets(shared ?? dir);
  const redisSockets = redis ? await readSockets(dir) : undefined;
  const masterKeyFile = path.join(dir, 'master.key');
  await writeFile(masterKeyFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  const database = shared ? `test_${randomBytes(6).toString('hex')}` : 'penstock';
  const stack = new Stack({
    dir,
    sockets,
    database,
    masterKeyFile,
    isShared: Boolean(shared),
    redisPath: redis ? path.join(redisSockets, 'redis.sock') : undefined,
  });
  try {
    if (shared) await createFromTemplate(sockets, database, migrated);
    else if (migrated) await stack.migrate();
  } catch (error) {
    await stack.stop().catch(() => {});
    throw error;
  }
  return stack;
}

// True where the binary exists; a test of a program that was not built fails by itself, this is for optional ones.
export const hasProgram = (name) => stat(program(name)).then(() => true, () => false);
