import { describe, expect, it } from 'vitest';

import { approximate, decimalText, isDecimal, parseDecimal, readDecimalInput, shareInThousandths } from '../src/lib/decimal';
import { formatMoney, formatQuantity, formatRate, isNegative } from '../src/lib/format';

describe('decimals', () => {
  it.each([
    ['0', 0n], ['-0', 0n], ['1', 1_000_000n], ['12.34', 12_340_000n], ['-0.000001', -1n], ['9999999999999999.999999', 9_999_999_999_999_999_999_999n],
  ])('%s is %d millionths', (text, micro) => expect(parseDecimal(text)).toBe(micro));

  it.each(['', ' 1', '1.', '.5', '01', '1e3', '1,000.00', '+1', '1.1234567', '12345678901234567', 'NaN', '--1', '１'])('%j is refused', (text) => {
    expect(isDecimal(text)).toBe(false);
    expect(() => parseDecimal(text)).toThrow(RangeError);
  });

  it('survives there and back, for a thousand numbers of a printed seed', () => {
    const seed = Date.now() % 1_000_000;
    let state = BigInt(seed) + 1n;
    for (let i = 0; i < 1000; i += 1) {
      state = (state * 6364136223846793005n + 1442695040888963407n) % (1n << 64n);
      const micro = (state % 10n ** 21n) * (i % 2 === 0 ? 1n : -1n);
      expect(parseDecimal(decimalText(micro, 0, false).replace('−', '-')), `seed ${seed}, round ${i}`).toBe(micro);
    }
  });

  it.each([
    [1_234_567_890_000n, 2, '1,234,567.89'], [-1_234_500_000n, 2, '−1,234.50'], [999_000_000n, 2, '999.00'], [1_000_000_000n, 0, '1,000'],
    [617_000n, 2, '0.617'], [1n, 2, '0.000001'], [100_000n, 0, '0.1'],
  ])('%d with at least %d digits reads %s', (micro, digits, text) => expect(decimalText(micro, digits, true)).toBe(text));
});

describe('what a form accepts', () => {
  it.each([
    ['50', '50'], [' 50.5 ', '50.5'], ['1,250.00', '1250.00'], ['５０．５', '50.5'], ['-20', '-20'], ['−20', '-20'], ['12,345,678', '12345678'],
  ])('%j as %s', (input, text) => expect(readDecimalInput(input)).toBe(text));
  it.each(['', 'abc', '12,50', '1,2345', '1.2.3', '¥5', '1 000', '0x10'])('%j not', (input) => expect(readDecimalInput(input)).toBeNull());
});

describe('money and quantities', () => {
  it.each([
    ['1234.5', 'CNY', '¥1,234.50'], ['-10.17', 'CNY', '−¥10.17'], ['0', 'CNY', '¥0.00'], ['1.13033', 'CNY', '¥1.13033'], ['1200', 'JPY', '¥1,200'],
    ['5', 'CHF', 'CHF 5.00'], ['-5', 'CHF', '−CHF 5.00'], ['9007199254740993.01', 'CNY', '¥9,007,199,254,740,993.01'],
  ])('%s %s is %s', (amount, currency, text) => expect(formatMoney(amount, currency)).toBe(text));

  it.each([
    ['28453.37', 'kWh', '28,453.37 kWh'], ['5.90', 'kWh', '5.90 kWh'], ['3.871', 'A', '3.871 A'], ['12', 'm3', '12 m³'], ['0.974', '', '0.974'], ['0.500', 'kWh', '0.500 kWh'],
  ])('%s %s is %s', (value, unit, text) => expect(formatQuantity(value, unit)).toBe(text));

  it('tells a debt, and zero is none', () => {
    expect([isNegative('-0.01'), isNegative('0.00'), isNegative('-0.00'), isNegative('3')]).toEqual([true, false, false, false]);
  });

  it('writes rates as percent', () => expect([formatRate('0.13'), formatRate('0.065')]).toEqual(['13%', '6.5%']));
  it('draws shares within the bar', () => {
    expect([shareInThousandths('1', '3'), shareInThousandths('0', '5'), shareInThousandths('5', '5'), shareInThousandths('1', '0')]).toEqual([333, 0, 1000, 0]);
    expect(approximate('0.64')).toBeCloseTo(0.64);
  });
});
