// Money, quantities and times on the screen; the only components that print them.
import { formatMoney, formatQuantity, isNegative } from '../lib/format';
import { fullTime, shortTime } from '../lib/time';

export function MoneyText({ amount, currency, className = '' }: { amount: string; currency: string; className?: string }) {
  return <span className={`num${isNegative(amount) ? ' negative' : ''} ${className}`}>{formatMoney(amount, currency)}</span>;
}

export function QuantityText({ value, unit }: { value: string; unit: string }) {
  return <span className="num">{formatQuantity(value, unit)}</span>;
}

export function TimeText({ at }: { at: string }) {
  return <time className="num" dateTime={at} title={fullTime(at)}>{shortTime(at)}</time>;
}

export const NONE = '–';
