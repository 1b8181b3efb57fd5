// Local civil time by the platform's own zone data: offsets are asked for, changes of offset are found by halving.
const MINUTE = 60_000;
const DAY = 86_400_000;
const BEGIN = Date.UTC(2018, 0, 1);
const END = Date.UTC(2042, 0, 1);

const formatters = new Map();
function offsetBy(zone, at) {
  if (!formatters.has(zone)) {
    formatters.set(zone, new Intl.DateTimeFormat('en-US-u-hc-h23', {
      timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
    }));
  }
  const part = Object.fromEntries(formatters.get(zone).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) - Math.floor(at / 1000) * 1000;
}

// [{ from, offset }], rising.
const stretches = new Map();
function stretchesOf(zone) {
  if (stretches.has(zone)) return stretches.get(zone);
  const list = [{ from: -Infinity, offset: offsetBy(zone, BEGIN) }];
  for (let at = BEGIN; at < END; at += 7 * DAY) {
    if (offsetBy(zone, at + 7 * DAY) === list.at(-1).offset) continue;
    let low = at;
    let high = at + 7 * DAY;
    while (high - low > MINUTE) {
      const middle = Math.floor((low + high) / 2 / MINUTE) * MINUTE;
      if (offsetBy(zone, middle) === list.at(-1).offset) low = middle;
      else high = middle;
    }
    list.push({ from: high, offset: offsetBy(zone, high) });
  }
  stretches.set(zone, list);
  return list;
}

export function offsetAt(zone, at) {
  const list = stretchesOf(zone);
  let i = list.length - 1;
  while (list[i].from > at) i--;
  return list[i].offset;
}

export const changesWithin = (zone, from, to) => stretchesOf(zone).some((one) => one.from > from && one.from < to);

// Days since 1970-01-01 of the civil calendar.
export const localDay = (zone, at) => Math.floor((at + offsetAt(zone, at)) / DAY);
export const localMinute = (zone, at) => Math.floor((((at + offsetAt(zone, at)) % DAY) + DAY) % DAY / MINUTE);
export const dayNumber = (year, month, day) => Date.UTC(year, month, day) / DAY;
export const civil = (day) => {
  const date = new Date(day * DAY);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth(), day: date.getUTCDate(), weekday: date.getUTCDay() };
};

// The first instant of a local day; where the clock skips midnight, the first instant behind the gap.
export function dayStart(zone, day) {
  for (const { from, offset } of stretchesOf(zone)) {
    const guess = Math.max(day * DAY - offset, from);
    if (offsetAt(zone, guess) === offset && guess + offset >= day * DAY) return guess;
  }
  throw new Error('no such day');
}
