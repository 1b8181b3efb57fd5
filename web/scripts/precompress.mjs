// Writes a .gz and a .br beside every text file of the built site, so that the server only picks one by Accept-Encoding.
// index.html stays as it is: the server fills in its nonce.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = process.argv[2] ?? 'dist';
const isText = /\.(js|css|svg|json|txt)$/;

let raw = 0;
let packed = 0;
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !isText.test(entry.name)) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const body = readFileSync(path);
  const gz = gzipSync(body, { level: 9 });
  const br = brotliCompressSync(body, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 10, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
  });
  writeFileSync(`${path}.gz`, gz);
  writeFileSync(`${path}.br`, br);
  raw += body.length;
  packed += gz.length;
}
console.log(`precompressed ${root}: ${Math.round(raw / 1024)} KiB raw, ${Math.round(packed / 1024)} KiB gzip`);
