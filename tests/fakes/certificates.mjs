// RSA key pairs and self-made X.509 certificates (RFC 5280) for counterparts in tests: just enough DER to be read by every
// implementation.
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const length = (n) => (n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255]);
const der = (tag, ...parts) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([tag, ...length(body.length)]), body]);
};
const sequence = (...parts) => der(0x30, ...parts);
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));
const integer = (hex) => {
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
  return der(0x02, bytes[0] & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
};
const SHA256_WITH_RSA = sequence(oid('2a864886f70d01010b'), [0x05, 0x00]);
const name = (common) => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(common, 'utf8')))));
const time = (ms) => der(0x18, Buffer.from(new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, ''), 'ascii'));

export const newSerial = () => `5${randomBytes(20).toString('hex').slice(1)}`.toUpperCase();

// A key pair in PEM.
export function newKeyPair(bits = 2048) {
  return generateKeyPairSync('rsa', {
    modulusLength: bits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

// The extension that lists what a server is called: names and IPv4 addresses.
function alternativeNames(names) {
  const entries = names.map((one) => (/^[\d.]+$/.test(one) ? der(0x87, one.split('.').map(Number)) : der(0x82, Buffer.from(one, 'ascii'))));
  return der(0xa3, sequence(sequence(oid('551d11'), der(0x04, sequence(...entries)))));
}

// A certificate in PEM for `publicKey`, signed with `privateKey`; `names` makes it a server's. With its own key it is its own
// authority, if issuer and subject are the same.
export function makeCertificate({ common = 'Test', issuer = common, names, serial = newSerial(), publicKey, privateKey, from = Date.now() - 86_400_000, to = Date.now() + 5 * 365 * 86_400_000 }) {
  const spki = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  const contents = sequence(der(0xa0, [0x02, 0x01, 0x02]), integer(serial), SHA256_WITH_RSA, name(issuer), sequence(time(from), time(to)), name(common), spki, ...(names ? [alternativeNames(names)] : []));
  const signature = sign('sha256', contents, privateKey);
  const bytes = sequence(contents, SHA256_WITH_RSA, der(0x03, [0x00], signature));
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;
}
