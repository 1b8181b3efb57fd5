// A second implementation of the rating rules, for tests only: written from the rules, in another language and another
// style. It works with exact fractions and finds periods by asking, at every quarter of an hour, which band the local
// clock is in; nothing here is fast or shared with the engine.
//
// rateReadings(tariff, readings) → amounts charged at each reading, in millionths of the currency, as BigInt.
// readings: [{ at: milliseconds, value: BigInt milli-units }], times and values rising.

const QUARTER = 15 * 60 * 1000;
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

// Fractions of BigInt.
const gcd = (a, b) => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b));
export const fraction = (n, d = 1n) => {
  const g = gcd(n, d) || 1n;
  return d < 0n ? { n: -n / g, d: -d / g } : { n: n / g, d: d / g };
};
const plus = (a, b) => fraction(a.n * b.d + b.n * a.d, a.d * b.d);
const times = (a, b) => fraction(a.n * b.n, a.d * b.d);
const ZERO = fraction(0n);

export function decimal(text) {
  const [, sign, whole, part = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  const value = BigInt(whole + part) * (sign ? -1n : 1n);
  return fraction(value, 10n ** BigInt(part.length));
}

const floorDivide = (n, d) => (n >= 0n || n % d === 0n ? n / d : n / d - 1n);

// A fraction of the currency to millionths, rounded at `scale` decimals.
export function rounded(value, { mode, scale }) {
  const unit = 10n ** BigInt(scale);
  const n = value.n * unit;
  const floor = floorDivide(n, value.d);
  const rest = n - floor * value.d; // 0 ≤ rest < d
  let whole = floor;
  const isNegative = n < 0n;
  if (rest !== 0n) {
    const twice = rest * 2n;
    if (mode === 'ceil') whole += 1n;
    else if (mode === 'truncate') whole += isNegative ? 1n : 0n;
    else if (twice > value.d) whole += 1n;
    else if (twice === value.d && (mode === 'half_even' ? floor % 2n !== 0n : !isNegative)) whole += 1n;
  }
  return whole * 10n ** BigInt(6 - scale);
}

// Local civil time, by the platform's own zone data.
const formatters = new Map();
const localCache = new Map();
function local(zone, at) {
  const key = `${zone} ${Math.floor(at / QUARTER)}`;
  let parts = localCache.get(key);
  if (!parts) {
    if (!formatters.has(zone)) {
      formatters.set(
        zone,
        new Intl.DateTimeFormat('en-US-u-hc-h23', {
          timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', weekday: 'short',
        }),
      );
    }
    const found = Object.fromEntries(formatters.get(zone).formatToParts(at).map(({ type, value }) => [type, value]));
    parts = {
      year: Number(found.year), date: `${found.year.padStart(4, '0')}-${found.month}-${found.day}`, monthDay: `${found.month}-${found.day}`,
      minute: Number(found.hour) * 60 + Number(found.minute), weekday: found.weekday.toLowerCase(), day: Number(found.day), month: Number(found.month),
    };
    if (localCache.size > 500_000) localCache.clear();
    localCache.set(key, parts);
  }
  return parts;
}

const minutes = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
const isWithinDates = (row, monthDay) =>
  row.from <= row.to ? row.from <= monthDay && monthDay <= row.to : monthDay >= row.from || monthDay <= row.to;

function dayKinds(tariff, where) {
  if (tariff.holidays?.includes(where.date)) return 'holiday';
  if (tariff.workdays?.includes(where.date)) return 'workday';
  return where.weekday;
}

// The first row that matches the local day. A holiday is matched by holiday rows only if one exists, else as its weekday.
function rowOf(tariff, where) {
  const kind = dayKinds(tariff, where);
  const matches = (row, wanted) => {
    if (row.flag && !tariff.flagged_days?.[row.flag]?.includes(where.date)) return false;
    return isWithinDates(row, where.monthDay) && row.days.includes(wanted);
  };
  const special = kind === 'holiday' || kind === 'workday';
  const isNamed = special && tariff.calendar.some((row) => row.days.includes(kind));
  return tariff.calendar.find((row) => matches(row, isNamed ? kind : where.weekday));
}

function periodAt(tariff, at) {
  const names = tariff.periods ?? ['flat'];
  if (!tariff.calendar) return names[0];
  const where = local(tariff.time_zone, at);
  const row = rowOf(tariff, where);
  for (const band of row.bands) {
    const from = minutes(band.from);
    const to = minutes(band.to);
    const inside = from < to ? from <= where.minute && where.minute < to : where.minute >= from || where.minute < to;
    if (inside) return band.period;
  }
  throw new Error('the bands do not cover the day');
}

// A name for the tier window that holds the instant.
function windowAt(tariff, at) {
  if (!tariff.tiers) return 'life';
  const { year, month, day } = local(tariff.time_zone, at);
  const first = tariff.tiers.billing_day ?? 1;
  if (tariff.tiers.over === 'year') return `${year}`;
  const months = year * 12 + month - 1 - (day < first ? 1 : 0);
  return `${months}`;
}

// [from, to) cut where period or window changes; the quantity follows time by cumulative floor.
function pieces(tariff, from, to, quantity) {
  const cuts = [];
  let period = periodAt(tariff, from);
  let window = windowAt(tariff, from);
  for (let at = (Math.floor(from / QUARTER) + 1) * QUARTER; at < to; at += QUARTER) {
    const nextPeriod = periodAt(tariff, at);
    const nextWindow = windowAt(tariff, at);
    if (nextPeriod === period && nextWindow === window) continue;
    cuts.push({ to: at, period, window });
    period = nextPeriod;
    window = nextWindow;
  }
  cuts.push({ to, period, window });
  let taken = 0n;
  return cuts.map((cut) => {
    const upTo = (quantity * BigInt(cut.to - from)) / BigInt(to - from);
    const part = upTo - taken;
    taken = upTo;
    return { ...cut, quantity: part };
  });
}

// The price of a usage matrix { period: [milli per tier] }, each line an exact fraction of the currency.
function priceLines(tariff, matrix) {
  const amounts = new Map();
  const priceOf = (prices, tier) => decimal(prices.length === 1 ? prices[0] : prices[tier]);
  for (const line of tariff.lines.filter(({ kind }) => kind === 'quantity')) {
    let sum = ZERO;
    for (const [period, tiers] of Object.entries(matrix)) {
      const prices = line.prices['*'] ?? line.prices[period];
      tiers.forEach((milli, tier) => {
        sum = plus(sum, times(priceOf(prices, tier), fraction(milli, 1000n)));
      });
    }
    amounts.set(line.name, sum);
  }
  let waiting = tariff.lines.filter(({ kind }) => kind === 'percent');
  while (waiting.length > 0) {
    const ready = waiting.filter((line) => line.of.every((name) => amounts.has(name)));
    if (ready.length === 0) throw new Error('percent lines build on each other in a circle');
    for (const line of ready) {
      const base = line.of.map((name) => amounts.get(name)).reduce(plus, ZERO);
      amounts.set(line.name, times(base, decimal(line.rate)));
    }
    waiting = waiting.filter((line) => !ready.includes(line));
  }
  return [...amounts.values()];
}

function price(tariff, matrix) {
  const amounts = priceLines(tariff, matrix);
  if (tariff.rounding.at === 'line') return amounts.map((amount) => rounded(amount, tariff.rounding)).reduce((a, b) => a + b, 0n);
  return rounded(amounts.reduce(plus, ZERO), tariff.rounding);
}

export function rateReadings(tariff, readings) {
  const uppers = (tariff.tiers?.upper ?? []).map((edge) => {
    const { n, d } = decimal(edge);
    return (n * 1000n) / d;
  });
  const windows = new Map(); // name → { matrix, used, charged }
  const open = (name) => {
    if (!windows.has(name)) {
      const matrix = Object.fromEntries((tariff.periods ?? ['flat']).map((period) => [period, Array(uppers.length + 1).fill(0n)]));
      windows.set(name, { matrix, used: 0n, charged: 0n });
    }
    return windows.get(name);
  };
  const charges = [];
  for (let i = 1; i < readings.length; i++) {
    const touched = new Set();
    for (const piece of pieces(tariff, readings[i - 1].at, readings[i].at, readings[i].value - readings[i - 1].value)) {
      const window = open(piece.window);
      touched.add(window);
      let left = piece.quantity;
      for (let tier = 0; left > 0n; tier++) {
        const room = tier < uppers.length ? uppers[tier] - window.used : left;
        const part = room <= 0n ? 0n : room < left ? room : left;
        window.matrix[piece.period][tier] += part;
        window.used += part;
        left -= part;
      }
    }
    let charge = 0n;
    for (const window of touched) {
      const total = price(tariff, window.matrix);
      charge += total - window.charged;
      window.charged = total;
    }
    charges.push(charge);
  }
  return charges;
}
