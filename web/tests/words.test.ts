import { describe, expect, it } from 'vitest';

import { classOf, isTransient, ProblemError } from '../src/lib/api/problem';
import { browserLanguage } from '../src/lib/i18n';
import { safeReturnPath } from '../src/lib/returnPath';
import { thresholdsFromFields, thresholdsToFields } from '../src/lib/thresholds';
import { fullTime, shortTime, spanText } from '../src/lib/time';
import { ROOM_STATES } from '../src/lib/vocabulary';
import en from '../src/locales/en.json';
import zh from '../src/locales/zh-CN.json';

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, prefix = ''): Map<string, string> {
  const result = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') result.set(prefix + key, value);
    else flat(value, `${prefix}${key}.`).forEach((text, inner) => result.set(inner, text));
  }
  return result;
}

describe('the two languages', () => {
  const [english, chinese] = [flat(en), flat(zh)];
  const holes = (text: string | undefined) => (text?.match(/\{\{\w+\}\}/g) ?? []).sort();
  it('say the same things', () => expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort()));
  it('leave nothing empty', () => expect([...english, ...chinese].filter(([, text]) => text.trim() === '')).toEqual([]));
  it('fill in the same holes', () => {
    for (const [key, text] of english) expect(holes(chinese.get(key)), key).toEqual(holes(text));
  });
  it('name every state', () => {
    for (const state of ROOM_STATES) expect(english.has(`roomState.${state}`)).toBe(true);
  });
  it.each<[string[], string]>([[['en-GB', 'zh'], 'en'], [['zh-TW'], 'zh-CN'], [['fr', 'en'], 'en'], [['fr'], 'zh-CN'], [[], 'zh-CN'], [['enx'], 'zh-CN']])('a browser of %j reads %s', (languages, chosen) => {
    expect(browserLanguage(languages)).toBe(chosen);
  });
});

describe('times', () => {
  const NOW = Date.parse('2026-03-02T23:30:00+08:00');
  it.each([
    ['2026-03-02T10:31:04+08:00', '10:31'], ['2026-03-01T10:31:04+08:00', '03-01 10:31'], ['2025-12-31T10:31:04+08:00', '2025-12-31 10:31'],
    ['2026-03-02T15:00:00Z', '15:00'], ['2026-03-03T01:00:00+10:00', '01:00'], ['soon', 'soon'],
  ])('%s reads %s', (instant, text) => expect(shortTime(instant, NOW)).toBe(text));
  it('spans', () => {
    expect(spanText('2026-03-02T10:00:00+08:00', '2026-03-02T10:30:00+08:00', NOW)).toBe('10:00 – 10:30');
    expect(spanText('2026-03-01T23:30:00+08:00', '2026-03-02T00:00:00+08:00', NOW)).toBe('03-01 23:30 – 00:00');
    expect(fullTime('2026-03-02T10:31:04.5+08:00')).toBe('2026-03-02 10:31:04 +08:00');
  });
});

describe('problems', () => {
  it.each<[number, string, boolean]>([[0, 'network', true], [401, 'session', false], [403, 'permission', false], [404, 'missing', false], [412, 'stale', false], [422, 'input', false], [503, 'later', true], [500, 'other', false]])(
    'status %d is %s', (status, kind, transient) => {
      const error = new ProblemError(status, { type: '/problems/some-thing', title: 'x', status });
      expect([classOf(error), isTransient(error)]).toEqual([kind, transient]);
    });
  it('has a stable code', () => {
    expect([new ProblemError(409, { type: '/problems/no-downlink' }).code, new ProblemError(500, {}).code, new ProblemError(0, {}).code, new ProblemError(500, { type: 'about:blank' }).code])
      .toEqual(['no-downlink', 'http-500', 'network', 'http-500']);
    expect(classOf(new TypeError('x'))).toBe('other');
  });
});

describe('where to go after the log-in', () => {
  it.each([['/rooms/1?charge=2', '/rooms/1?charge=2'], [null, '/'], ['https://elsewhere.example', '/'], ['//elsewhere.example', '/'], ['/\\elsewhere.example', '/'], ['javascript:alert(1)', '/'], ['/login?back=/', '/'], ['', '/']])(
    '%s leads to %s', (back, path) => expect(safeReturnPath(back)).toBe(path));
});

describe('thresholds', () => {
  const stored = { currency: 'CNY', items: [{ purpose: 'electricity' as const, alarm_1: '50.00', alarm_2: null }] };
  const read = (alarm_1: string, alarm_2: string) => thresholdsFromFields(stored, { electricity: { alarm_1, alarm_2 } });
  it('fill the form', () => expect(thresholdsToFields(stored)).toEqual({ electricity: { alarm_1: '50.00', alarm_2: '' } }));
  it('empty is never', () => expect(read('', ' ')).toEqual({ ok: true, items: [{ purpose: 'electricity', alarm_1: null, alarm_2: null }] }));
  it('are read as written', () => expect(read('1,250.00', '20')).toEqual({ ok: true, items: [{ purpose: 'electricity', alarm_1: '1250.00', alarm_2: '20' }] }));
  it('refuse what is no amount', () => expect(read('x', '20')).toEqual({ ok: false, wrong: [{ name: ['electricity', 'alarm_1'], code: 'notAmount' }] }));
  it('refuse a second above the first, by value', () => expect(read('9', '10')).toEqual({ ok: false, wrong: [{ name: ['electricity', 'alarm_2'], code: 'secondAboveFirst' }] }));
  it('allow equal ones', () => expect(read('10', '10.00').ok).toBe(true));
});
