// A provider behind its driver program, as a conversation: await driver.ask('create', { order }).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '../../../support/wait.mjs';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

function program() {
  const folders = [process.env.PENSTOCK_BUILD_DIR, 'build/test', 'build/debug', 'build/asan'].filter(Boolean);
  const found = folders.map((folder) => path.resolve(ROOT, folder, 'tests/provider_driver')).find((file) => existsSync(file));
  assert.ok(found, `no provider_driver in ${folders.join(', ')}`);
  return found;
}

export class Driver {
  static async start({ total_timeout_ms = 10_000, ...http } = {}) {
    const driver = new Driver();
    driver.child = spawn(program(), [], { stdio: ['pipe', 'pipe', 'inherit'] });
    driver.exited = new Promise((resolve) => driver.child.once('exit', (code, signal) => resolve({ code, signal })));
    driver.lines = readline.createInterface({ input: driver.child.stdout })[Symbol.asyncIterator]();
    driver.turn = Promise.resolve();
    await driver.ask('http', { total_timeout_ms, connect_timeout_ms: 3000, ...http });
    return driver;
  }

  // One question at a time; the program answers in order.
  ask(what, members = {}) {
    const answer = this.turn.then(async () => {
      this.child.stdin.write(`${JSON.stringify({ do: what, ...members })}\n`);
      const { value, done } = await withDeadline(this.lines.next(), 20_000, `the answer to ${what}`);
      assert.ok(!done, `the driver ended at ${what}`);
      return JSON.parse(value);
    });
    this.turn = answer.catch(() => {});
    return answer;
  }

  async stop() {
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    const ended = await this.exited;
    clearTimeout(timer);
    assert.deepEqual(ended, { code: 0, signal: null });
  }
}
