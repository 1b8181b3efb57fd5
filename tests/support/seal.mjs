// Seals a secret as libs/crypto/secret_box does, with the stack's first master key.
import { createCipheriv, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

export async function seal(stack, company, place, secret) {
  const key = Buffer.from((await readFile(stack.masterKeyFile, 'utf8')).trim(), 'hex');
  const nonce = randomBytes(12);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(1, 0);
  header.writeUInt32BE(company, 4);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.concat([header, Buffer.from(place)]));
  const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([Buffer.from('P1'), header.subarray(0, 4), nonce, sealed, cipher.getAuthTag()]);
}
