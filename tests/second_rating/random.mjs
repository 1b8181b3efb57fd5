// Random tariffs, usage and reading rhythms from a seed. Everything is drawn from one generator, so that a seed names a
// case for ever.
export class Random {
  constructor(seed) {
    this.state = BigInt.asUintN(64, BigInt(seed) * 0x9e3779b97f4a7c15n + 1n);
  }

  next() {
    this.state ^= BigInt.asUintN(64, this.state << 13n);
    this.state ^= this.state >> 7n;
    this.state ^= BigInt.asUintN(64, this.state << 17n);
    return Number(this.state >> 11n) / 2 ** 53;
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

const ZONES = ['Asia/Shanghai', 'UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe'];
const PERIODS = ['critical_peak', 'peak', 'flat', 'valley', 'deep_valley'];
const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const two = (n) => String(n).padStart(2, '0');
const clock = (quarter) => `${two(Math.floor(quarter / 4))}:${two((quarter % 4) * 15)}`;

const price = (random) => `${random.below(3)}.${String(random.below(10 ** 4)).padStart(4, '0')}`;

function bands(random, periods) {
  const count = 1 + random.below(Math.min(8, periods.length * 2));
  const edges = new Set();
  while (edges.size < count) edges.add(random.below(96));
  const sorted = [...edges].sort((a, b) => a - b);
  if (sorted.length === 1) return [{ from: '00:00', to: '24:00', period: random.one(periods) }];
  return sorted.map((edge, i) => ({ from: clock(edge), to: clock(sorted[(i + 1) % sorted.length]), period: random.one(periods) }));
}

// Rows that leave no day uncovered: the last takes every date and kind.
function calendar(random, periods) {
  const rows = [];
  if (random.chance(0.4)) rows.push({ from: `${two(1 + random.below(12))}-${two(1 + random.below(28))}`, to: `${two(1 + random.below(12))}-${two(1 + random.below(28))}`, days: [...WEEKDAYS], bands: bands(random, periods) });
  if (random.chance(0.4)) rows.push({ from: '01-01', to: '12-31', days: ['sat', 'sun'], bands: bands(random, periods) });
  if (random.chance(0.3)) rows.push({ from: '01-01', to: '12-31', days: ['holiday'], bands: bands(random, periods) });
  if (random.chance(0.2)) rows.push({ from: '01-01', to: '12-31', days: ['workday'], bands: bands(random, periods) });
  rows.push({ from: '01-01', to: '12-31', days: [...WEEKDAYS, 'holiday', 'workday'], bands: bands(random, periods) });
  return rows;
}

const RATES = ['0.13', '0.06', '0.155', '-0.0075'];
const ROUNDINGS = ['half_up', 'half_even', 'truncate', 'ceil'];

function tiers(random) {
  let edge = 0;
  const upper = Array.from({ length: 1 + random.below(3) }, () => String((edge += 1 + random.below(400))) + (random.chance(0.3) ? '.5' : ''));
  const found = { over: random.one(['month', 'month', 'year', 'billing_period', 'season']), kind: random.chance(0.3) ? 'volume' : 'graduated', upper };
  if (found.over === 'season') found.season_starts = random.one([['03-15', '11-15'], ['02-29', '06-01', '10-10'], ['01-01']]);
  if (['month', 'billing_period'].includes(found.over) && random.chance(0.3)) found.billing_day = 1 + random.below(28);
  if (found.kind === 'volume') return found;
  if (random.chance(0.2)) found.prorate_opening = true;
  if (random.chance(0.2)) {
    found.upper = upper.map((base) => (random.chance(0.6) ? { base, per_head: String(random.below(90)), heads_above: random.below(4) } : base));
  }
  return found;
}

function quantityExtras(random, line, isPersonal) {
  if (random.chance(0.2)) line.quantity_rounding = { scale: random.below(4), mode: random.one(ROUNDINGS) };
  if (random.chance(0.2) && !isPersonal) line.free_quantity = String(1 + random.below(300));
}

function fixedLine(random, name) {
  const line = { name, kind: 'fixed', amount: price(random), per: random.one(['month', 'day', 'billing_period', 'purchase']) };
  if (random.chance(0.5)) line.prorate = 'day';
  return line;
}

function closingLine(random, names) {
  const kind = random.one(['demand', 'minimum', 'power_factor']);
  if (kind === 'demand') return { name: 'demand', kind, price: price(random), basis: random.one(['max_demand_kw', 'contracted_kva']) };
  if (kind === 'minimum') return { name: 'minimum', kind, amount: String(random.below(200)), of: names };
  return { name: 'factor', kind, of: names, table: [{ from: '0.5', rate: '0.05' }, { from: '0.8', rate: '0' }, { from: '0.9', rate: '-0.0075' }] };
}

// `like`: a version of the same account's tariff, in the same zone.
export function randomTariff(random, like) {
  const periods = PERIODS.slice(0, 1 + random.below(5));
  const tariff = {
    code: 'random', utility: 'electricity', unit: 'kWh', currency: 'CNY', time_zone: like?.time_zone ?? random.one(ZONES),
    effective_from: '2020-01-01T00:00:00Z', periods, calendar: calendar(random, periods), lines: [],
    rounding: { mode: random.one(ROUNDINGS), scale: random.below(5), at: random.one(['total', 'line']) },
  };
  if (random.chance(0.5)) {
    tariff.holidays = ['2024-01-01', '2024-02-10', '2024-03-08', '2024-10-03'];
    tariff.workdays = ['2024-02-04', '2024-03-09', '2024-10-12'];
  }
  if (random.chance(0.2)) {
    tariff.flagged_days = { hot: ['2024-07-15', '2024-07-16', '2024-12-01'] };
    tariff.calendar.unshift({ from: '01-01', to: '12-31', days: [...WEEKDAYS], flag: 'hot', bands: bands(random, periods) });
  }
  if (random.chance(0.7)) tariff.tiers = tiers(random);
  if (like?.tiers && random.chance(0.7)) {
    const { over, billing_day: day, season_starts: starts } = like.tiers;
    tariff.tiers = { ...(tariff.tiers ?? tiers(random)), over };
    delete tariff.tiers.billing_day;
    delete tariff.tiers.season_starts;
    if (day) tariff.tiers.billing_day = day;
    if (starts) tariff.tiers.season_starts = starts;
  }
  const count = (tariff.tiers?.upper.length ?? 0) + 1;
  const isPersonal = tariff.tiers?.upper.some((edge) => typeof edge !== 'string');
  const list = () => Array.from({ length: random.chance(0.3) ? 1 : count }, () => price(random));
  tariff.lines.push({ name: 'energy', kind: 'quantity', prices: random.chance(0.2) ? { '*': list() } : Object.fromEntries(periods.map((period) => [period, list()])) });
  if (random.chance(0.4)) tariff.lines.push({ name: 'surcharge', kind: 'quantity', prices: { '*': list() } });
  for (const line of tariff.lines) quantityExtras(random, line, isPersonal);
  if (random.chance(0.4)) tariff.lines.push(fixedLine(random, 'fixed'));
  if (random.chance(0.2)) tariff.lines.push(fixedLine(random, 'service'));
  if (random.chance(0.2)) tariff.lines.push(closingLine(random, tariff.lines.map(({ name }) => name)));
  if (random.chance(0.5)) tariff.lines.push({ name: 'VAT', kind: 'percent', rate: random.one(RATES), of: tariff.lines.map(({ name }) => name) });
  if (random.chance(0.1)) tariff.lines.unshift({ name: 'fund', kind: 'percent', rate: random.one(RATES), of: tariff.lines.map(({ name }) => name) });
  return tariff;
}

// A case: [{ at, … }] in order of time. Each may begin with a new tariff, holder or closing values.
export function randomCase(random, most) {
  const count = 2 + random.below(most);
  const rhythm = random.one([30_000, 900_000, 1_800_000, 3_600_000, 21_600_000, 86_400_000, 700_000_000]);
  const start = Date.UTC(2024, random.below(12), 1 + random.below(28)) + random.below(86_400_000);
  let at = start;
  let tariff = randomTariff(random);
  const changes = random.chance(0.3) ? 0.1 : 0;
  const usesRegisters = random.chance(0.2);
  const quantity = () => (random.chance(0.1) ? 0 : random.below(Math.max(2, Math.ceil(rhythm / 600))));
  return Array.from({ length: count }, (_, i) => {
    const event = { at, tariff };
    if (i > 0) {
      if (random.chance(changes)) event.tariff = tariff = randomTariff(random, tariff);
      if (random.chance(0.02)) event.holder = { heads: random.below(8), openedAt: random.chance(0.5) ? start : 0 };
      if (random.chance(0.02)) event.closing = { demand: random.below(50_000), contracted: random.below(50_000), factor: random.below(100) / 100 };
      event.at = at += 1000 + (random.chance(0.3) ? random.below(rhythm * 2) : rhythm);
      if (usesRegisters) event.perPeriod = tariff.periods.map(() => BigInt(Math.floor(quantity() / tariff.periods.length)));
      else event.quantity = BigInt(quantity());
    }
    return event;
  });
}

export function randomUsage(random, tariff) {
  const from = Date.UTC(2024, random.below(12), 1 + random.below(28)) + (random.chance(0.5) ? 0 : random.below(86_400_000));
  const each = () => tariff.periods.map(() => BigInt(random.below(400_000)));
  return {
    from, to: from + 1000 + random.below(90 * 86_400_000), quantities: each(), before: random.chance(0.5) ? each() : tariff.periods.map(() => 0n),
    amount: BigInt(random.below(900)) * 1_000_000n,
  };
}
