// WeChat Pay's side of API version 3 on the wire: signatures, encryption, the Authorization header.
import { createCipheriv, createDecipheriv, createHash, createSign, createVerify, randomBytes } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
export const newNonce = (len = 32) => Array.from(randomBytes(len), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
export const requestText = (method, path, seconds, nonce, body) => `${method}\n${path}\n${seconds}\n${nonce}\n${body}\n`;
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

export const signBytes = (privateKey, ...pieces) => {
  const signer = createSign('RSA-SHA256');
  for (const piece of pieces) signer.update(piece);
  return signer.sign(privateKey, 'base64');
};

export const verifyBytes = (publicKey, signature, ...pieces) => {
  const verifier = createVerify('RSA-SHA256');
  for (const piece of pieces) verifier.update(piece);
  return verifier.verify(publicKey, signature, 'base64');
};

// The headers of a signed answer or notification over the body's bytes.
export function signedHeaders({ serial, privateKey, body, seconds = Math.floor(Date.now() / 1000), nonce = newNonce() }) {
  return {
    'Wechatpay-Timestamp': String(seconds),
    'Wechatpay-Nonce': nonce,
    'Wechatpay-Signature': signBytes(privateKey, `${seconds}\n${nonce}\n`, body, '\n'),
    'Wechatpay-Serial': serial,
    'Wechatpay-Signature-Type': 'WECHATPAY2-SHA256-RSA2048',
  };
}

// A deliberately wrong signature as WeChat Pay sends it to see whether it is checked.
export const probeSignature = () => `WECHATPAY/SIGNTEST/${randomBytes(246).toString('base64')}`.slice(0, 344);

export function seal(key, plaintext, { nonce = newNonce(12), associated_data = 'transaction' } = {}) {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(associated_data ?? ''));
  const bytes = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return { algorithm: 'AEAD_AES_256_GCM', nonce, associated_data, ciphertext: bytes.toString('base64') };
}

export function open(key, { nonce, associated_data, ciphertext }) {
  const bytes = Buffer.from(ciphertext, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(Buffer.from(associated_data ?? ''));
  decipher.setAuthTag(bytes.subarray(-16));
  return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8');
}

// { mchid, nonce_str, signature, timestamp, serial_no }, or null when it is not exactly that.
export function readAuthorization(text) {
  const match = /^WECHATPAY2-SHA256-RSA2048 (.+)$/.exec(text ?? '');
  if (!match) return null;
  const pairs = {};
  for (const part of match[1].split(',')) {
    const pair = /^([a-z_]+)="([^"]*)"$/.exec(part);
    if (!pair || pair[1] in pairs) return null;
    pairs[pair[1]] = pair[2];
  }
  const wanted = ['mchid', 'nonce_str', 'serial_no', 'signature', 'timestamp'];
  return Object.keys(pairs).sort().join() === wanted.join() ? pairs : null;
}

// RFC 3339 in Beijing's time, whole seconds.
export const beijing = (ms) => new Date(ms + 8 * 3_600_000).toISOString().replace(/\.\d+Z$/, '+08:00');
