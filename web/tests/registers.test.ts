// Every register the system knows has a name in both languages; those of an instant's status are not shown.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const TABLE = new URL('../../libs/metering/include/metering/registers.def', import.meta.url);
const registers = [...readFileSync(TABLE, 'utf8').matchAll(/^REGISTER\(.*"([a-z0-9_]+)",\s*"[^"]*",\s*\d+,\s*(\w+)\)/gm)];

describe.each(['zh-CN', 'en'])('names in %s', (language) => {
  const { value } = JSON.parse(readFileSync(new URL(`../src/locales/${language}.json`, import.meta.url), 'utf8')) as { value: Record<string, string> };

  it('cover the registers', () => {
    const shown = registers.filter(([, , kind]) => kind !== 'STATUS').map(([, name]) => name ?? '');
    expect(shown.length).toBeGreaterThan(15);
    expect(shown.filter((name) => !value[name])).toEqual([]);
  });
});
