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

export function randomTariff(random) {
  const periods = PERIODS.slice(0, 1 + random.below(5));
  const tariff = {
    code: 'random', utility: 'electricity', unit: 'kWh', currency: 'CNY', time_zone: random.one(ZONES),
    effective_from: '2020-01-01T00:00:00Z', periods, calendar: calendar(random, periods), lines: [],
    rounding: { mode: random.one(['half_up', 'half_even', 'truncate', 'ceil']), scale: random.below(5), at: random.one(['total', 'line']) },
  };
  if (random.chance(0.5)) {
    tariff.holidays = ['2024-01-01', '2024-02-10', '2024-03-08', '2024-10-03'];
    tariff.workdays = ['2024-02-04', '2024-03-09', '2024-10-12'];
  }
  let tiers = 1;
  if (random.chance(0.7)) {
    let edge = 0;
    const upper = Array.from({ length: 1 + random.below(3) }, () => String((edge += 1 + random.below(400))) + (random.chance(0.3) ? '.5' : ''));
    tariff.tiers = { over: random.one(['month', 'year']), kind: 'graduated', upper };
    if (tariff.tiers.over === 'month' && random.chance(0.3)) tariff.tiers.billing_day = 1 + random.below(28);
    tiers = upper.length + 1;
  }
  const list = () => Array.from({ length: random.chance(0.3) ? 1 : tiers }, () => price(random));
  tariff.lines.push({ name: 'energy', kind: 'quantity', prices: random.chance(0.2) ? { '*': list() } : Object.fromEntries(periods.map((period) => [period, list()])) });
  if (random.chance(0.4)) tariff.lines.push({ name: 'surcharge', kind: 'quantity', prices: { '*': list() } });
  if (random.chance(0.5)) tariff.lines.push({ name: 'VAT', kind: 'percent', rate: random.one(['0.13', '0.06', '0.155']), of: tariff.lines.map(({ name }) => name) });
  return tariff;
}

export function randomReadings(random, most) {
  const count = 2 + random.below(most);
  const rhythm = random.one([30_000, 900_000, 1_800_000, 3_600_000, 21_600_000, 86_400_000, 700_000_000]);
  let at = Date.UTC(2024, random.below(12), 1 + random.below(28)) + random.below(86_400_000);
  let value = BigInt(random.below(1_000_000));
  return Array.from({ length: count }, () => {
    const reading = { at, value };
    at += 1000 + (random.chance(0.3) ? random.below(rhythm * 2) : rhythm);
    value += random.chance(0.1) ? 0n : BigInt(random.below(Math.max(2, Math.ceil(rhythm / 600))));
    return reading;
  });
}
