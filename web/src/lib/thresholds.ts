// Between the fields of the form and the thresholds of the API. Pure.
import type { Thresholds } from './api/types';
import { parseDecimal, readDecimalInput } from './decimal';

type Level = 'alarm_1' | 'alarm_2';
export type ThresholdFields = Record<string, Partial<Record<Level, string>>>;

export interface WrongField {
  name: [string, Level];
  code: 'notAmount' | 'secondAboveFirst';
}

export type ReadThresholds = { ok: true; items: Thresholds['items'] } | { ok: false; wrong: WrongField[] };

export function thresholdsToFields(thresholds: Thresholds): ThresholdFields {
  return Object.fromEntries(thresholds.items.map((i) => [i.purpose, { alarm_1: i.alarm_1 ?? '', alarm_2: i.alarm_2 ?? '' }]));
}

/** An empty field is "never". The second level may not lie above the first. */
export function thresholdsFromFields(thresholds: Thresholds, fields: ThresholdFields): ReadThresholds {
  const wrong: WrongField[] = [];
  const items = thresholds.items.map(({ purpose }) => {
    const read = (level: Level): string | null => {
      const text = (fields[purpose]?.[level] ?? '').trim();
      if (text === '') return null;
      const value = readDecimalInput(text);
      if (value === null) wrong.push({ name: [purpose, level], code: 'notAmount' });
      return value;
    };
    const alarm_1 = read('alarm_1');
    const alarm_2 = read('alarm_2');
    if (alarm_1 !== null && alarm_2 !== null && parseDecimal(alarm_2) > parseDecimal(alarm_1)) {
      wrong.push({ name: [purpose, 'alarm_2'], code: 'secondAboveFirst' });
    }
    return { purpose, alarm_1, alarm_2 };
  });
  return wrong.length > 0 ? { ok: false, wrong } : { ok: true, items };
}
