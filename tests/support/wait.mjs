// Waiting with a deadline: a test never sleeps for a guessed time and never waits for ever.
import net from 'node:net';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Calls check until it answers something true, which is returned; an exception counts as "not yet" and is told at the
// deadline.
export async function waitFor(check, { what = 'the condition', within_ms = 10_000, every_ms = 20 } = {}) {
  const deadline = performance.now() + within_ms;
  let last;
  for (;;) {
    try {
      const answer = await check();
      if (answer) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`${what} did not come within ${within_ms} ms${last ? `: ${last.message}` : ''}`, { cause: last });
    }
    await sleep(every_ms);
  }
}

// Rejects when the promise takes longer; the work itself is not stopped.
export async function withDeadline(promise, within_ms, what = 'the answer') {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${within_ms} ms`)), within_ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// A loopback port that was free a moment ago.
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
