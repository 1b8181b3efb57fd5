// How money and quantities look, everywhere.
import { decimalText, parseDecimal } from './decimal';

const CURRENCIES: Record<string, { symbol: string; digits: number }> = {
  CNY: { symbol: '¥', digits: 2 },
  HKD: { symbol: 'HK$', digits: 2 },
  USD: { symbol: '$', digits: 2 },
  EUR: { symbol: '€', digits: 2 },
  JPY: { symbol: '¥', digits: 0 },
};

const UNITS: Record<string, string> = { m3: 'm³', '': '' };

/** "¥1,234.50"; an unknown currency is shown by its code. Never rounds. */
export function formatMoney(amount: string, currency: string): string {
  const known = CURRENCIES[currency];
  const micro = parseDecimal(amount);
  const text = decimalText(micro < 0n ? -micro : micro, known?.digits ?? 2, true);
  const sign = micro < 0n ? '−' : '';
  return known ? `${sign}${known.symbol}${text}` : `${sign}${currency} ${text}`;
}

export function isNegative(amount: string): boolean {
  return parseDecimal(amount) < 0n;
}

export function unitText(unit: string): string {
  return UNITS[unit] ?? unit;
}

/** "1,234.5 kWh"; keeps the digits that were sent, so that a register reads as on the meter. */
export function formatQuantity(value: string, unit: string): string {
  const sent = value.split('.')[1]?.length ?? 0;
  const text = decimalText(parseDecimal(value), sent, true);
  const name = unitText(unit);
  return name === '' ? text : `${text} ${name}`;
}

/** "0.617 ¥/kWh"-like prices: all digits, at least two. */
export function formatPrice(price: string, currency: string): string {
  return formatMoney(price, currency);
}

/** "0.13" as "13%". */
export function formatRate(rate: string): string {
  return `${decimalText(parseDecimal(rate) * 100n, 0, false)}%`;
}
