// Decimal strings as the API sends them, as integers of millionths. The only place where money and quantities are taken apart; nothing
// here is ever a floating-point number except `approximate`, which is for the height of a bar.

const SCALE = 6;
const ONE = 10n ** BigInt(SCALE);
const SHAPE = /^-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,6})?$/;

export function isDecimal(text: string): boolean {
  return SHAPE.test(text);
}

/** Millionths. Throws on what is not a decimal of the contract: the server would be wrong, and a guess would be worse. */
export function parseDecimal(text: string): bigint {
  if (!isDecimal(text)) throw new RangeError(`not a decimal: ${text.slice(0, 40)}`);
  const negative = text.startsWith('-');
  const [whole = '0', fraction = ''] = (negative ? text.slice(1) : text).split('.');
  const micro = BigInt(whole) * ONE + BigInt(fraction.padEnd(SCALE, '0'));
  return negative ? -micro : micro;
}

/** Exact text with at least `minDigits` fraction digits; further digits only where they are not zero. */
export function decimalText(micro: bigint, minDigits: number, group: boolean): string {
  const magnitude = micro < 0n ? -micro : micro;
  const whole = (magnitude / ONE).toString();
  let fraction = (magnitude % ONE).toString().padStart(SCALE, '0');
  while (fraction.length > minDigits && fraction.endsWith('0')) fraction = fraction.slice(0, -1);
  const grouped = group ? whole.replace(/\B(?=(\d{3})+$)/g, ',') : whole;
  return `${micro < 0n ? '−' : ''}${grouped}${fraction === '' ? '' : `.${fraction}`}`;
}

/** What a form accepts: "50", "50.5", " 1,250.00 ", full-width digits. Null where it is no decimal. */
export function readDecimalInput(input: string): string | null {
  const text = input
    .trim()
    .replace(/[０-９．，－]/g, (c) => '0123456789.,-'.charAt('０１２３４５６７８９．，－'.indexOf(c)))
    .replace(/^−/, '-');
  const plain = /^-?\d{1,3}(,\d{3})+(\.\d+)?$/.test(text) ? text.replaceAll(',', '') : text;
  return isDecimal(plain) ? plain : null;
}

/** For drawing only. */
export function approximate(text: string): number {
  return Number(parseDecimal(text)) / 1e6;
}

/** Share of a whole in thousandths, for the width of a bar. */
export function shareInThousandths(part: string, whole: string): number {
  const total = parseDecimal(whole);
  return total <= 0n ? 0 : Number((parseDecimal(part) * 1000n) / total);
}
