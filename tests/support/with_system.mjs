// Runs one test file against the whole running system: node with_system.mjs FILE. The file finds the dashboard and a log-in in
// PENSTOCK_URL, PENSTOCK_COMPANY, PENSTOCK_LOGIN and PENSTOCK_PASSWORD; its output and exit status are passed on.
import { spawn } from 'node:child_process';
import { startSystem } from './system.mjs';

const file = process.argv[2];
const system = await startSystem({ meters: 60, days: 2, replicas: 1, withApi: true });
let code = 1;
try {
  const [, company, login, password] = /^log-in +company (\S+) +operator (manager) +password (\S+)/m.exec(system.logins);
  await system.stack.query("update core.operator set locale = 'en'"); // the journeys are written in English
  const url = `http://127.0.0.1:${system.service('api-1').ports.http}`;
  code = await new Promise((resolve, reject) => {
    const env = { ...process.env, PENSTOCK_URL: url, PENSTOCK_COMPANY: company, PENSTOCK_LOGIN: login, PENSTOCK_PASSWORD: password };
    const child = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=tap', file], { stdio: 'inherit', env });
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(signal ? 128 : status));
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => child.kill('SIGKILL'));
  });
  if (code !== 0) for (const service of system.services.values()) process.stderr.write(`${service.name}: ${service.tail(15)}\n`);
} finally {
  await system.stop();
}
process.exitCode = code;
