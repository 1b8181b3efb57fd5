// Random tariffs over the whole language, usage and reading rhythms from a seed. Everything is drawn from one generator,
// so that a seed names a case for ever.
import { dayStart, localDay } from './local_time.mjs';

// xorshift on two halves of 32 bits: numbers, because BigInt would cost more than the rating.
export class Random {
  constructor(seed) {
    this.a = (Math.imul(seed, 0x9e3779b9) ^ 0x7f4a7c15) | 1;
    this.b = Math.imul(seed ^ (seed >>> 16), 0x85ebca6b) ^ 0x3c6ef372;
    for (let i = 0; i < 8; i++) this.next();
  }

  next() {
    const a = this.a;
    const t = a ^ (a << 23);
    this.a = this.b;
    this.b = t ^ this.b ^ (t >>> 17) ^ (this.b >>> 13);
    return ((this.a + this.b) >>> 0) / 2 ** 32;
  }

  below(n) {
    return Math.floor(this.next() * n);
  }

  one(list) {
    return list[this.below(list.length)];
  }

  chance(part) {
    return this.next() < part;
  }
}

const DAY = 86_400_000;
export const FIRST_READ_MS = 1000; // a point is installed so long before its first reading
// The usual ones, then clocks that change at midnight, by half hours, by two hours, backwards in summer, over the date line.
const USUAL_ZONES = ['Asia/Shanghai', 'Asia/Shanghai', 'UTC', 'Europe/Berlin', 'America/New_York'];
const ZONES = [
  'Asia/Kathmandu', 'Australia/Lord_Howe', 'America/St_Johns', 'Europe/London', 'Europe/Dublin', 'Pacific/Apia', 'Pacific/Chatham', 'America/Havana',
  'America/Sao_Paulo', 'Antarctica/Troll', 'Asia/Kolkata', 'Asia/Pyongyang', 'America/Caracas', 'Europe/Istanbul', 'Pacific/Kiritimati', 'America/Los_Angeles',
];
// When the years begin in which readings lie: today's, and years in which zones changed their minds.
const YEARS = [1985, 1986, 1991, 2007, 2011, 2015, 2016, 2018, 2023, 2024, 2024, 2024, 2027, 2036];
const PERIODS = [
  'critical_peak', 'peak', 'flat', 'valley', 'deep_valley', '尖', '峰', '平', '谷', 'summer peak', 'night', 'x',
];
const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const CURRENCIES = ['CNY', 'CNY', 'CNY', 'EUR', 'JPY', 'KWD', 'USD', 'VND'];
const UTILITIES = [['electricity', 'kWh'], ['electricity', 'kWh'], ['cold_water', 'm3'], ['gas', 'm³'], ['heat', 'GJ'], ['cooling', 'kWh']];
const INDICES = ['gd-lv-1kv', 'sh-10kv'];
const two = (n) => String(n).padStart(2, '0');
const clock = (minute) => `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
const monthDay = (random) => (random.chance(0.05) ? '02-29' : `${two(1 + random.below(12))}-${two(1 + random.below(28))}`);

// A decimal below `whole` with 0 to `most` digits behind the point.
function decimal(random, whole, most) {
  const digits = random.below(most + 1);
  const left = String(random.below(whole));
  return digits === 0 ? left : `${left}.${String(random.below(10 ** digits)).padStart(digits, '0')}`;
}

// Rarely a rebate; "-0" is no decimal.
function price(random) {
  const found = random.chance(0.1) ? decimal(random, 30, 6) : decimal(random, 3, 4);
  return Number(found) > 0 && random.chance(0.02) ? `-${found}` : found;
}

function bands(random, periods) {
  const most = random.chance(0.05) ? 48 : Math.min(8, periods.length * 2);
  const count = 1 + random.below(most);
  const grid = random.chance(0.8) ? 15 : 1; // minutes
  const edges = new Set();
  while (edges.size < count) edges.add(random.below(1440 / grid) * grid);
  const sorted = [...edges].sort((a, b) => a - b);
  if (sorted.length === 1) return [{ from: '00:00', to: '24:00', period: random.one(periods) }];
  return sorted.map((edge, i) => ({
    from: clock(edge), to: i + 1 === sorted.length && sorted[0] === 0 && random.chance(0.5) ? '24:00' : clock(sorted[(i + 1) % sorted.length]), period: random.one(periods),
  }));
}

// Rows that leave no day uncovered: the last takes every date and kind.
function calendar(random, periods) {
  const rows = [];
  const all = { from: '01-01', to: '12-31' };
  while (random.chance(0.4) && rows.length < 6) rows.push({ from: monthDay(random), to: monthDay(random), days: random.chance(0.7) ? [...WEEKDAYS] : WEEKDAYS.filter(() => random.chance(0.5)).concat('holiday'), bands: bands(random, periods) });
  if (random.chance(0.4)) rows.push({ ...all, days: ['sat', 'sun'], bands: bands(random, periods) });
  if (random.chance(0.3)) rows.push({ ...all, days: ['holiday'], bands: bands(random, periods) });
  if (random.chance(0.2)) rows.push({ ...all, days: ['workday'], bands: bands(random, periods) });
  rows.push({ ...all, days: random.chance(0.5) ? [...WEEKDAYS] : [...WEEKDAYS, 'holiday', 'workday'], bands: bands(random, periods) });
  return rows;
}

const RATES = ['0.13', '0.06', '0.155', '0.09', '-0.0075', '0.000001'];
const ROUNDINGS = ['half_up', 'half_even', 'truncate', 'ceil'];
const OVERS = ['month', 'month', 'month', 'year', 'billing_period', 'season'];

function tiers(random) {
  let edge = 0;
  const count = 1 + (random.chance(0.1) ? random.below(11) : random.below(3));
  const upper = Array.from({ length: count }, () => String((edge += 1 + random.below(400))) + random.one(['', '', '.5', '.125']));
  const found = { over: random.one(OVERS), kind: random.chance(0.3) ? 'volume' : 'graduated', upper };
  if (found.kind === 'graduated' && random.chance(0.1)) delete found.kind;
  if (found.over === 'season') found.season_starts = random.one([['03-15', '11-15'], ['02-29', '06-01', '10-10'], ['01-01'], ['11-15']]);
  if (['month', 'billing_period'].includes(found.over) && random.chance(0.3)) found.billing_day = 1 + random.below(28);
  if (found.kind === 'volume') return found;
  if (random.chance(0.2)) found.prorate_opening = true;
  if (random.chance(0.2)) {
    found.upper = upper.map((base) => (random.chance(0.6) ? { base, per_head: decimal(random, 90, 3), ...(random.chance(0.8) && { heads_above: random.below(4) }) } : base));
  }
  return found;
}

// Many volume tiers whose edges are rounded in several ways are refused.
function quantityExtras(random, line, { tiers: found }) {
  const isPersonal = found?.upper.some((edge) => typeof edge !== 'string');
  if (random.chance(0.2) && !(found?.kind === 'volume' && found.upper.length > 3)) line.quantity_rounding = { scale: random.below(4), mode: random.one(ROUNDINGS) };
  if (random.chance(0.2) && !isPersonal) line.free_quantity = String(1 + random.below(300));
}

function fixedLine(random, name) {
  const line = { name, kind: 'fixed', amount: price(random), per: random.one(['month', 'day', 'billing_period', 'purchase']) };
  if (random.chance(0.5)) line.prorate = 'day';
  return line;
}

const some = (random, names) => {
  const chosen = names.filter(() => random.chance(0.6));
  return chosen.length > 0 ? chosen : [random.one(names)];
};

function closingLine(random, name, names, priceOf) {
  const kind = random.one(['demand', 'minimum', 'power_factor']);
  if (kind === 'demand') return { name, kind, price: priceOf(), basis: random.one(['max_demand_kw', 'contracted_kva']) };
  if (kind === 'minimum') return { name, kind, amount: String(random.below(200)), of: some(random, names) };
  let from = 0;
  const table = Array.from({ length: 1 + random.below(5) }, () => ({ from: `0.${two((from += 1 + random.below(18)))}`, rate: random.one(['0.05', '0', '-0.0075', '0.1']) }));
  return { name, kind, of: some(random, names), table };
}

const percentLine = (random, name, names) => ({ name, kind: 'percent', rate: random.one(RATES), of: some(random, names) });

function dates(random, tariff) {
  const day = () => `${random.one(YEARS) + random.below(2)}-${monthDay(random)}`.replace('02-29', '02-28');
  if (random.chance(0.5)) {
    tariff.holidays = ['2024-01-01', '2024-02-10', '2024-03-08', '2024-10-03', '1986-05-04', ...Array.from({ length: random.below(20) }, day)];
    tariff.workdays = ['2024-02-04', '2024-03-09', '2024-10-12'].filter((date) => !tariff.holidays.includes(date));
  }
  if (!random.chance(0.2)) return;
  tariff.flagged_days = { hot: ['2024-07-15', '2024-07-16', '2024-12-01', ...Array.from({ length: random.below(30) }, day)] };
  tariff.calendar.unshift({ from: '01-01', to: '12-31', days: [...WEEKDAYS], flag: 'hot', bands: bands(random, tariff.periods) });
}

function lines(random, tariff, usesIndices) {
  const count = (tariff.tiers?.upper.length ?? 0) + 1;
  const priceOf = () => {
    if (!usesIndices || random.chance(0.5)) return price(random);
    const by = { index: random.one(INDICES) };
    if (random.chance(0.6)) by.times = decimal(random, 3, 4);
    if (random.chance(0.6)) by.plus = price(random);
    return by;
  };
  const list = () => (random.chance(0.15) ? priceOf() : Array.from({ length: random.chance(0.3) ? 1 : count }, priceOf));
  tariff.lines.push({ name: 'energy', kind: 'quantity', prices: random.chance(0.2) ? { '*': list() } : Object.fromEntries(tariff.periods.map((period) => [period, list()])) });
  if (random.chance(0.4)) tariff.lines.push({ name: 'surcharge', kind: 'quantity', prices: { '*': list() } });
  if (random.chance(0.1)) tariff.lines.push({ name: 'transport', kind: 'quantity', prices: Object.fromEntries(tariff.periods.map((period) => [period, list()])) });
  for (const line of tariff.lines) quantityExtras(random, line, tariff);
  if (random.chance(0.4)) tariff.lines.push(fixedLine(random, 'fixed'));
  if (random.chance(0.2)) tariff.lines.push(fixedLine(random, 'service'));
  const names = () => tariff.lines.map(({ name }) => name);
  if (random.chance(0.2)) tariff.lines.push(closingLine(random, 'closing', names(), priceOf));
  if (random.chance(0.08)) tariff.lines.push(closingLine(random, 'closing two', tariff.lines.filter(({ of }) => !of).map(({ name }) => name), priceOf));
  if (random.chance(0.5)) tariff.lines.push(percentLine(random, 'VAT', tariff.lines.filter(({ of }) => !of?.includes('closing')).map(({ name }) => name)));
  if (random.chance(0.1)) tariff.lines.unshift(percentLine(random, 'fund', names().filter((name) => name !== 'VAT' && !name.startsWith('closing'))));
}

// `like`: a version of the same account's tariff: its currency, and its zone unless the property moves.
export function randomTariff(random, like, { periods: given, usesIndices } = {}) {
  const periodCount = random.chance(0.15) ? 1 + random.below(12) : 1 + random.below(5);
  const first = random.chance(0.8) ? 0 : random.below(PERIODS.length - periodCount + 1);
  const periods = given ?? PERIODS.slice(first, first + periodCount);
  const [utility, unit] = random.one(UTILITIES);
  const zone = random.chance(0.5) ? random.one(USUAL_ZONES) : random.one(ZONES);
  const tariff = {
    code: 'random', utility: like?.utility ?? utility, unit: like?.unit ?? unit, currency: like?.currency ?? random.one(CURRENCIES),
    time_zone: like && !random.chance(0.1) ? like.time_zone : zone, effective_from: '1980-01-01T00:00:00Z', periods, calendar: calendar(random, periods), lines: [],
    rounding: { mode: random.one(ROUNDINGS), scale: random.below(7), at: random.one(['total', 'line']) },
  };
  dates(random, tariff);
  if (random.chance(0.7)) tariff.tiers = tiers(random);
  if (like?.tiers && random.chance(0.7)) {
    const { over, billing_day: day, season_starts: starts } = like.tiers;
    tariff.tiers = { ...(tariff.tiers ?? tiers(random)), over };
    delete tariff.tiers.billing_day;
    delete tariff.tiers.season_starts;
    if (day) tariff.tiers.billing_day = day;
    if (starts) tariff.tiers.season_starts = starts;
  }
  lines(random, tariff, usesIndices);
  return tariff;
}

// The same prices and tiers in another place.
const moved = (random, tariff) => ({ ...tariff, time_zone: random.one(random.chance(0.5) ? ZONES : USUAL_ZONES) });
const nextVersion = (random, tariff, how) => (random.chance(0.15) ? moved(random, tariff) : randomTariff(random, tariff, how));

const RHYTHMS = [30_000, 900_000, 1_800_000, 1_800_000, 3_600_000, 21_600_000, DAY, 700_000_000];

// Half of all cases begin shortly before something happens in the zone's calendar: a change of clocks, a year's end, a
// leap day.
function beginning(random, zone, rhythm) {
  const year = random.one(YEARS);
  const before = (day) => dayStart(zone, day) - random.below(Math.max(DAY, rhythm * 20)) + random.below(DAY);
  if (random.chance(0.3)) return Date.UTC(year, random.below(12), 1 + random.below(28)) + random.below(DAY);
  const edge = random.one([[2, 28 + random.below(3)], [9, 25 + random.below(8)], [3, 1 + random.below(8)], [10, 1 + random.below(4)], [11, 31], [1, 28], [random.below(12), 1]]);
  return before(localDay(zone, Date.UTC(year, ...edge)));
}

// A case of one state: [{ at, … }] in order of time. Each may begin with a new tariff, holder or closing values.
export function randomCase(random, most) {
  const rhythm = random.one(RHYTHMS);
  const count = 2 + random.below(rhythm < DAY ? most : most / 4); // a meter read by hand is read seldom
  let tariff = randomTariff(random);
  const start = beginning(random, tariff.time_zone, rhythm);
  let at = start;
  const changes = random.chance(0.3) ? Math.min(0.1, 4 / count) : 0;
  const usesRegisters = random.chance(0.2);
  const quantity = () => (random.chance(0.1) ? 0 : random.below(Math.max(2, Math.ceil(rhythm / 600))));
  return Array.from({ length: count }, (_, i) => {
    const event = { at, tariff };
    if (i > 0) {
      if (random.chance(changes)) event.tariff = tariff = nextVersion(random, tariff);
      if (random.chance(0.02)) event.holder = { heads: random.below(8), openedAt: random.chance(0.5) ? start : 0 };
      if (random.chance(0.02)) event.closing = closingValues(random);
      event.at = at += 1000 + (random.chance(0.3) ? random.below(rhythm * 2) : rhythm);
      if (usesRegisters) event.perPeriod = tariff.periods.map(() => BigInt(Math.floor(quantity() / tariff.periods.length)));
      else event.quantity = BigInt(quantity());
    }
    return event;
  });
}

export const closingValues = (random) => ({ demand: random.below(50_000), contracted: random.below(50_000), factor: random.below(100) / 100 });

export function randomUsage(random, tariff) {
  const from = beginning(random, tariff.time_zone, 3_600_000);
  const each = () => tariff.periods.map(() => BigInt(random.below(400_000)));
  return {
    from, to: from + 1000 + random.below(90 * DAY), quantities: each(), before: random.chance(0.5) ? each() : tariff.periods.map(() => 0n),
    amount: BigInt(random.below(900)) * 1_000_000n,
  };
}

// ---- a usage point: readings arrive late, twice, wrong; versions and holders change between readings

function pointReadings(random, start, rhythm, count, registers) {
  const quantity = () => (random.chance(0.1) ? 0 : random.below(Math.max(2, Math.ceil(rhythm / 600))));
  const readings = [{ at: start, value: 0n, registers: registers.map(() => 0n) }];
  while (readings.length < count) {
    const last = readings.at(-1);
    const used = registers.length > 0 ? registers.map(() => BigInt(Math.floor(quantity() / registers.length))) : [BigInt(quantity())];
    readings.push({
      at: last.at + 1000 + (random.chance(0.3) ? random.below(rhythm * 2) : rhythm),
      value: used.reduce((a, b) => a + b, last.value),
      registers: registers.length > 0 ? last.registers.map((value, i) => value + used[i]) : [],
    });
  }
  // Some answers bring the total alone.
  for (const reading of readings) if (registers.length === 0 || random.chance(0.02)) delete reading.registers;
  return readings;
}

// How the readings come in: [reading] to be stored, { remove: at }; wrong ones are put right later.
function arrivals(random, readings) {
  const order = [...readings];
  const lateness = random.chance(0.5) ? 0 : random.one([0.02, 0.05, 0.2]);
  for (let i = order.length - 1; i > 0; i--) {
    if (!random.chance(lateness)) continue;
    const to = Math.min(order.length - 1, i + 1 + random.below(random.chance(0.5) ? 3 : 40));
    order.splice(to, 0, ...order.splice(i, 1));
  }
  if (!random.chance(0.3) || readings.length < 4) return order;
  const last = order.length;
  for (let n = 0; n < 1 + random.below(3); n++) {
    const i = 1 + random.below(readings.length - 1);
    const wrong = { ...readings[i - 1] };
    if (random.chance(0.5)) {
      // Read too low at first.
      const at = order.indexOf(readings[i]);
      if (at < 0) continue;
      order.splice(at, 1, { ...wrong, at: readings[i].at });
      order.push(readings[i]);
    } else if (readings[i].at - readings[i - 1].at > 2) {
      // One that never was.
      const bogus = { ...wrong, at: readings[i - 1].at + 1 + random.below(readings[i].at - readings[i - 1].at - 1) };
      order.splice(random.below(last), 0, bogus);
      order.push({ remove: bogus.at });
    }
  }
  return order;
}

function holders(random, start, end) {
  const list = [];
  let at = start;
  while (at < end || list.length === 0) {
    const isLast = list.length === 3 || random.chance(0.75);
    const to = isLast ? end + DAY : at + 1000 + Math.floor((end - at) * random.next());
    const heads = [{ from: 0, heads: random.below(8) }];
    if (random.chance(0.3)) heads.push({ from: at + Math.floor((end - at) * random.next()), heads: random.below(8) });
    if (list.length === 0 || random.chance(0.8)) list.push({ account: 1 + list.length, from: at, to, openedAt: random.chance(0.5) ? at : 0, heads });
    at = to;
  }
  return list;
}

const month = (zone, at) => new Date(localDay(zone, at) * DAY).toISOString().slice(0, 7);
const indexValues = (random, months) => new Map(months.flatMap((name) => INDICES.map((index) => [`${index} ${name}`, decimal(random, 2, 6)])));

// Versions by their first instants; with indices, each month is a version.
function versions(random, tariff, start, end, how) {
  const list = [{ from: 0, tariff }];
  const count = random.chance(0.4) ? 1 + random.below(4) : 0;
  for (let i = 0; i < count; i++) {
    const from = start + Math.floor((end - start) * random.next());
    list.push({ from: random.chance(0.5) ? dayStart(tariff.time_zone, localDay(tariff.time_zone, from)) : from, tariff: (tariff = nextVersion(random, tariff, how)) });
  }
  list.sort((a, b) => a.from - b.from);
  return list.filter(({ from }, i) => i === 0 || from > list[i - 1].from);
}

function versionsOfMonths(list, start, end) {
  return list.flatMap(({ from, tariff }, i) => {
    const until = list[i + 1]?.from ?? end;
    const zone = tariff.time_zone;
    const found = [{ from, tariff, month: month(zone, Math.max(from, start)) }];
    for (let at = Math.max(from, start); at < until; ) {
      const { year, monthIndex } = { year: Number(month(zone, at).slice(0, 4)), monthIndex: Number(month(zone, at).slice(5)) - 1 };
      at = dayStart(zone, Date.UTC(year, monthIndex + 1, 1) / DAY);
      if (at < until) found.push({ from: at, tariff, month: month(zone, at) });
    }
    return found;
  });
}

export function randomPoint(random, most) {
  const rhythm = random.one(RHYTHMS);
  const count = 2 + random.below(rhythm < DAY ? most : most / 4); // a meter read by hand is read seldom
  const usesIndices = random.chance(0.3);
  const usesRegisters = random.chance(0.25);
  const registers = usesRegisters ? PERIODS.slice(0, 1 + random.below(5)) : [];
  const how = { periods: usesRegisters ? registers : undefined, usesIndices };
  const tariff = randomTariff(random, null, how);
  const start = beginning(random, tariff.time_zone, rhythm);
  const readings = pointReadings(random, start, rhythm, count, registers);
  const end = readings.at(-1).at;
  const found = { start, registers, readings, arrivals: arrivals(random, readings), holders: holders(random, start, end), closing: closingValues(random) };
  found.versions = versions(random, tariff, start, end, random.chance(0.8) ? how : { usesIndices });
  if (!usesIndices) return found;
  found.versions = versionsOfMonths(found.versions, start - FIRST_READ_MS, end);
  const months = [...new Set(found.versions.map((version) => version.month))];
  found.provisional = random.chance(0.3) ? indexValues(random, months) : null;
  found.indices = indexValues(random, months);
  return found;
}
