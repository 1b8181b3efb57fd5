// The supervisor of a local run: what dies comes back, what stops stops in order, and nothing of somebody else is touched.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Child } from '../../support/child.mjs';
import { ROOT } from '../../support/stack.mjs';
import { freePort, waitFor } from '../../support/wait.mjs';

const HEAD = `set -u
run_dir=$1 root=$2
. "$root/tools/dev/prepare.bash"
. "$root/tools/dev/supervise.bash"
`;
const LOOP = 'while [ ! -e "$run_dir/stop" ]; do keep_alive; sleep 0.1; done\n';

let folder;
let shell;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'penstock-supervise-'));
  for (const name of ['log', 'pids']) await mkdir(path.join(folder, name));
});
afterEach(async () => {
  if (shell?.isAlive) await shell.killNow();
  await rm(folder, { recursive: true, force: true });
});

function supervise(script) {
  shell = new Child('supervisor', 'bash', ['-c', HEAD + script, 'supervise', folder, ROOT]);
  return shell;
}
const pidOf = async (name) => Number(await readFile(path.join(folder, 'pids', name), 'utf8').catch(() => '0'));
const isAlive = (pid) => existsSync(`/proc/${pid}`);
const logOf = (name) => readFile(path.join(folder, 'log', `${name}.log`), 'utf8').catch(() => '');

test('a killed program is started again, and its end is told', async () => {
  supervise(`watch one sleep 60\n${LOOP}stop_programs one`);
  const first = await waitFor(() => pidOf('one'));
  process.kill(first, 'SIGKILL');
  const second = await waitFor(async () => ((await pidOf('one')) !== first ? pidOf('one') : 0), { what: 'the second start' });
  assert.ok(isAlive(second));
  assert.match(shell.output, /one ended \(status 137\), starting it again in 1 s/);
  await writeFile(path.join(folder, 'stop'), '');
  await shell.exit();
  assert.ok(!isAlive(second));
});

test('a program that keeps dying is started ever more slowly', async () => {
  supervise(`watch bad bash -c 'date +%s%N; exit 3'\n${LOOP}`);
  const starts = await waitFor(
    async () => {
      const lines = (await logOf('bad')).trim().split('\n').filter(Boolean);
      return lines.length >= 3 && lines;
    },
    { what: 'three starts', within_ms: 15_000 },
  );
  const [first, second, third] = starts.map((nanos) => Number(BigInt(nanos) / 1_000_000n));
  assert.ok(second - first >= 300, `the second start came after ${second - first} ms`);
  assert.ok(third - second >= 1_200, `the third start came after ${third - second} ms`);
  assert.match(shell.output, /status 3/);
});

test('programs stop in the order asked, frozen ones as well', async () => {
  const program = `bash -c 'trap "date +%s%N; exit 0" TERM; while :; do sleep 0.05; done'`;
  supervise(`watch first ${program}\nwatch second ${program}\n${LOOP}stop_programs second first`);
  await waitFor(() => pidOf('second'));
  await new Promise((resolve) => setTimeout(resolve, 300));
  process.kill(await pidOf('second'), 'SIGSTOP');
  await writeFile(path.join(folder, 'stop'), '');
  assert.equal((await shell.exit()).code, 0);
  assert.ok(BigInt(await logOf('second')) < BigInt(await logOf('first')));
});

test('programs end when their supervisor is killed', async () => {
  supervise(`watch one sleep 60\n${LOOP}`);
  const pid = await waitFor(() => pidOf('one'));
  await waitFor(async () => (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === 'sleep');
  await shell.killNow();
  await waitFor(() => !isAlive(pid), { what: 'its end' });
});

test('a Ctrl-C reaches the supervisor only: its programs are in sessions of their own', async () => {
  supervise(`watch one sleep 60\n${LOOP}`);
  const pid = await waitFor(() => pidOf('one'));
  await waitFor(async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1].split(' ')[3] === String(pid), { what: 'a session of its own' });
});

test('a left-over process id that belongs to somebody else is not touched', async () => {
  const stranger = new Child('stranger', 'sleep', ['60']);
  await writeFile(path.join(folder, 'pids', 'ingest-1'), `${stranger.pid}\n`);
  await supervise('end_leftovers').exit();
  assert.ok(stranger.isAlive && isAlive(stranger.pid));
  assert.ok(!existsSync(path.join(folder, 'pids', 'ingest-1')));
  await stranger.killNow();
});

test('a taken port is passed over, and none is given twice', async () => {
  const port = await freePort();
  const server = net.createServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  await supervise(`pick_port port ${port}; pick_port other ${port}; echo "$port $other"`).exit();
  server.close();
  const [a, b] = shell.output.trim().split(' ').map(Number);
  assert.ok(a > port && b > a, shell.output);
});

test('readiness is asked without any program, and a closed port is an empty answer', async () => {
  const port = await freePort();
  const script = `echo "[$(http_status ${port} /readyz)]"`;
  await supervise(script).exit();
  assert.equal(shell.output.trim(), '[]');
  const server = http.createServer((_, response) => response.writeHead(503).end()).listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  await supervise(script).exit();
  server.close();
  assert.equal(shell.output.trim(), '[503]');
});
