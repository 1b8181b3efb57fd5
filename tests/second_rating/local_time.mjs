// Local civil time by the C library's own reading of the system's zones, as zdump tells it: the same zones as the
// engine's, read by somebody else.
import { execFileSync } from 'node:child_process';

const MINUTE = 60_000;
const DAY = 86_400_000;
const YEARS = '1975,2046';

// [{ from, offset }], rising.
const stretches = new Map();
function stretchesOf(zone) {
  const known = stretches.get(zone);
  if (known) return known;
  // "Zone  Sun Mar  8 05:00:00 2026 UT = Sun Mar  8 01:00:00 2026 CDT isdst=1 gmtoff=-14400": the last second before
  // each change, and the first one after it.
  const lines = execFileSync('zdump', ['-V', '-c', YEARS, zone], { encoding: 'utf8' }).split('\n').filter((line) => line.includes('gmtoff='));
  const changes = lines.map((line) => ({ at: Date.parse(`${/\w{3} +\d+ [\d:]+ \d{4}/.exec(line)[0]} UTC`), offset: Number(/gmtoff=(-?\d+)/.exec(line)[1]) * 1000 }));
  const list = [{ from: -Infinity, offset: changes[0]?.offset ?? steadyOffset(zone) }];
  for (let i = 1; i < changes.length; i += 2) if (changes[i].offset !== list.at(-1).offset) list.push({ from: changes[i].at, offset: changes[i].offset });
  stretches.set(zone, list);
  return list;
}

function steadyOffset(zone) {
  const [, sign, hours, rest] = /^([+-])(\d\d)(\d\d)$/.exec(execFileSync('date', ['+%z'], { encoding: 'utf8', env: { ...process.env, TZ: zone } }).trim());
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(rest)) * MINUTE;
}

// The place of the stretch that holds an instant.
function placeAt(list, at) {
  let low = 0;
  let high = list.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (list[middle].from <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function offsetAt(zone, at) {
  const list = stretchesOf(zone);
  return list[placeAt(list, at)].offset;
}

export function changesWithin(zone, from, to) {
  const list = stretchesOf(zone);
  return placeAt(list, from) !== placeAt(list, to - 1);
}

// Days since 1970-01-01 of the civil calendar.
export const localDay = (zone, at) => Math.floor((at + offsetAt(zone, at)) / DAY);
export const localMinute = (zone, at) => Math.floor((((at + offsetAt(zone, at)) % DAY) + DAY) % DAY / MINUTE);
export const dayNumber = (year, month, day) => Date.UTC(year, month, day) / DAY;

const civils = new Map();
export function civil(day) {
  let found = civils.get(day);
  if (!found) {
    const date = new Date(day * DAY);
    civils.set(day, (found = { year: date.getUTCFullYear(), month: date.getUTCMonth(), day: date.getUTCDate(), weekday: date.getUTCDay() }));
  }
  return found;
}

// The day whose bounds hold the instant: where the clock goes back over midnight, today has begun already.
export function begunDay(zone, at) {
  const day = localDay(zone, at);
  return dayStart(zone, day + 1) <= at ? day + 1 : day;
}

// The first instant of a local day; where the clock skips midnight, the first instant behind the gap.
const starts = new Map();
export function dayStart(zone, day) {
  let known = starts.get(zone);
  if (!known) starts.set(zone, (known = new Map()));
  let found = known.get(day);
  if (found === undefined) known.set(day, (found = findStart(stretchesOf(zone), day * DAY)));
  return found;
}

function findStart(list, midnight) {
  for (let i = placeAt(list, midnight - 2 * DAY); i < list.length; i++) {
    const { from, offset } = list[i];
    const guess = Math.max(midnight - offset, from);
    if (guess < (list[i + 1]?.from ?? Infinity) && guess + offset >= midnight) return guess;
  }
  throw new Error('no such day');
}

// The days of [first, next) that began at all: the date line has taken some.
export function daysBetween(zone, first, next) {
  const days = [];
  for (let day = first; day < next; day++) if (dayStart(zone, day) < dayStart(zone, day + 1)) days.push(day);
  return days;
}
