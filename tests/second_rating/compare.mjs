// Compares the engine and the second implementation over a range of seeds; as a worker thread with an engine of its own, it
// answers { cases, readings, mismatches }.
import { spawn } from 'node:child_process';
import readline from 'node:readline';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { caseOf } from './cases.mjs';

const AT_ONCE = 64; // cases on their way to the engine: it rates some while the next ones are drawn
const MISMATCHES_MAX = 5;

export class Engine {
  constructor(program) {
    this.child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin.on('error', () => {}); // an engine that ended is told by its missing answer
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  write(text) {
    this.child.stdin.write(`${text}!\n`);
  }

  async answer() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`the engine ended with ${this.child.exitCode ?? this.child.signalCode}`);
    return value;
  }

  end() {
    this.child.stdin.end();
  }
}

export async function compare({ program, seeds }) {
  const engine = new Engine(program);
  const found = { cases: 0, readings: 0, mismatches: [] };
  let waiting = [];
  const judge = async (cases) => {
    for (const one of cases) {
      const got = await engine.answer();
      const why = one.why(got);
      found.cases++;
      found.readings += one.readings;
      if (why) found.mismatches.push(`seed ${one.seed}: ${why}\n${one.text}`);
    }
  };
  for (let i = 0; i < seeds.length && found.mismatches.length < MISMATCHES_MAX; i += AT_ONCE) {
    const cases = seeds.slice(i, i + AT_ONCE).map(caseOf);
    engine.write(cases.map(({ text }) => text).join(''));
    await judge(waiting);
    waiting = cases;
  }
  await judge(waiting);
  engine.end();
  return found;
}

if (!isMainThread) parentPort.postMessage(await compare(workerData));
