// Runs one program on a private, migrated stack of its own: node with_stack.mjs PROGRAM [ARGUMENT...]. The program finds
// its servers in PENSTOCK_DATABASE, PENSTOCK_OWNER_DATABASE and PENSTOCK_REDIS; its output and exit status are passed on.
import { spawn } from 'node:child_process';
import { startStack } from './stack.mjs';

const [command, ...args] = process.argv.slice(2);
const stack = await startStack();
let code = 1;
try {
  code = await new Promise((resolve, reject) => {
    const env = { ...process.env, ...stack.env, PENSTOCK_OWNER_DATABASE: stack.ownerConninfo };
    const child = spawn(command, args, { stdio: 'inherit', env });
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(signal ? 128 : status));
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => child.kill('SIGKILL'));
  });
} finally {
  await stack.stop();
}
process.exitCode = code;
