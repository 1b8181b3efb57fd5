// One child process of a test: started, watched, stopped, frozen and killed by its own process id only. The kernel kills
// it when the test dies, whatever the test died of.
import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { withDeadline } from './wait.mjs';

const KEPT_OUTPUT = 1_000_000;
const SANITIZER_REPORT = /^.*(?:ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ).*$/m;
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

const living = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export class Child {
  constructor(name, command, args, { env = {}, cwd, input = 'ignore' } = {}) {
    this.name = name;
    this.output = '';
    const [program, argv] = SETPRIV ? [SETPRIV, ['--pdeathsig', 'KILL', command, ...args]] : [command, args];
    this.process = spawn(program, argv, { cwd, env: { ...process.env, ...env }, stdio: [input, 'pipe', 'pipe'] });
    living.add(this);
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        this.output = (this.output + text).slice(-KEPT_OUTPUT);
      });
    }
    this.exited = new Promise((resolve) => {
      this.process.once('error', (error) => {
        this.output += `\n${error.message}\n`;
        living.delete(this);
        resolve({ code: null, signal: null, error });
      });
      this.process.once('close', (code, signal) => {
        living.delete(this);
        if (this.sanitizerReport) process.stderr.write(`${name} (process ${this.pid}) ended with a report:\n${this.sanitizerReport}\n`);
        resolve({ code, signal });
      });
    });
  }

  get pid() {
    return this.process.pid;
  }

  get isAlive() {
    return living.has(this);
  }

  // What a sanitizer had to say, from its first line on; undefined when nothing.
  get sanitizerReport() {
    const at = SANITIZER_REPORT.exec(this.output)?.index;
    return at === undefined ? undefined : this.output.slice(at, at + 8_000);
  }

  // The process's own JSON log lines, oldest first.
  get logs() {
    return this.output.split('\n').flatMap((line) => {
      if (!line.startsWith('{')) return [];
      try {
        return [JSON.parse(line)];
      } catch {
        return [];
      }
    });
  }

  kill(signal = 'SIGKILL') {
    if (this.pid && this.isAlive) this.process.kill(signal);
  }

  // SIGSTOP and SIGCONT: alive for the kernel, silent for everybody else.
  freeze() {
    this.kill('SIGSTOP');
  }

  thaw() {
    this.kill('SIGCONT');
  }

  // Whether it has stopped itself, at a marked point for one.
  get isFrozen() {
    return this.isAlive && /^\d+ \(.*\) T/.test(readFileSync(`/proc/${this.pid}/stat`, 'utf8'));
  }

  async killNow() {
    this.kill('SIGKILL');
    return withDeadline(this.exited, 10_000, `${this.name}'s end after SIGKILL`);
  }

  // Asks politely, then insists; answers how it ended.
  async stop({ within_ms = 15_000 } = {}) {
    if (!this.isAlive) return this.exited;
    this.kill('SIGCONT');
    this.kill('SIGTERM');
    try {
      return await withDeadline(this.exited, within_ms, `${this.name}'s end after SIGTERM`);
    } catch (error) {
      await this.killNow();
      throw new Error(`${error.message}\n${this.tail()}`);
    }
  }

  async exit({ within_ms = 30_000 } = {}) {
    try {
      return await withDeadline(this.exited, within_ms, `${this.name}'s end`);
    } catch (error) {
      await this.killNow();
      throw new Error(`${error.message}\n${this.tail()}`);
    }
  }

  tail(lines = 40) {
    return this.output.split('\n').slice(-lines).join('\n');
  }
}

// Runs a program to its end and answers { code, signal, stdout, stderr }; it is killed after within_ms.
export async function runProgram(command, args, { env = {}, cwd, input = '', within_ms = 60_000 } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  try {
    return await withDeadline(ended, within_ms, `the end of ${command} ${args.join(' ')}`);
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}
