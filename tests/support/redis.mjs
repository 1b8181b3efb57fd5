// A small Redis client for tests: one connection, commands in order, RESP2 answers as JavaScript values.
import net from 'node:net';
import { withDeadline } from './wait.mjs';

// Answers [value, bytes used], or undefined while the answer is incomplete.
function parse(data, at) {
  const end = data.indexOf('\r\n', at);
  if (end < 0) return undefined;
  const line = data.toString('utf8', at + 1, end);
  const next = end + 2;
  switch (String.fromCharCode(data[at])) {
    case '+':
      return [line, next];
    case '-':
      return [new Error(line), next];
    case ':':
      return [Number(line), next];
    case '$': {
      const length = Number(line);
      if (length < 0) return [null, next];
      if (data.length < next + length + 2) return undefined;
      return [data.toString('utf8', next, next + length), next + length + 2];
    }
    case '*': {
      const count = Number(line);
      if (count < 0) return [null, next];
      const items = [];
      let position = next;
      for (let i = 0; i < count; i++) {
        const item = parse(data, position);
        if (!item) return undefined;
        items.push(item[0]);
        position = item[1];
      }
      return [items, position];
    }
    default:
      throw new Error(`not a Redis answer: ${line}`);
  }
}

function encode(args) {
  const parts = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

// One command on a connection of its own; a Redis error rejects.
export function redisCommand(path, args, { within_ms = 5_000 } = {}) {
  const socket = net.createConnection(path);
  const answer = new Promise((resolve, reject) => {
    let data = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('Redis closed the connection')));
    socket.on('data', (piece) => {
      data = Buffer.concat([data, piece]);
      const parsed = parse(data, 0);
      if (parsed) parsed[0] instanceof Error ? reject(parsed[0]) : resolve(parsed[0]);
    });
    socket.write(encode(args));
  });
  return withDeadline(answer, within_ms, `Redis' answer to ${args[0]}`).finally(() => socket.destroy());
}
