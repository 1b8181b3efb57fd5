// A second implementation of the rating rules, for tests only: written from the rules, in another language and another
// style, with exact fractions; nothing here is shared with the engine.
//
//   const account = new Account();
//   account.charge(tariff, { from, to, quantity | perPeriod, holder, closing })   → millionths of the currency
//   quote(tariff, usage) → millionths
//   priced(document, indices, month) → the tariff with its price indices as prices
import { begunDay, changesWithin, civil, dayNumber, daysBetween, dayStart, localDay, localMinute } from './local_time.mjs';

const MINUTE = 60_000;
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FOREVER = { from: -Infinity, to: Infinity };

// Fractions of BigInt; reduced only where denominators differ.
const gcd = (a, b) => {
  while (b) [a, b] = [b, a % b];
  return a < 0n ? -a : a;
};
const fraction = (n, d = 1n) => ({ n, d });
const ZERO = fraction(0n);
function plus(a, b) {
  if (a.d === b.d) return fraction(a.n + b.n, a.d);
  if (a.n === 0n) return b;
  if (b.n === 0n) return a;
  const g = gcd(a.d, b.d);
  return fraction(a.n * (b.d / g) + b.n * (a.d / g), a.d * (b.d / g));
}
const minus = (a, b) => plus(a, fraction(-b.n, b.d));
const times = (a, b) => fraction(a.n * b.n, a.d * b.d);
const isLess = (a, b) => a.n * b.d < b.n * a.d;
const sumOf = (list) => list.reduce(plus, ZERO);

const decimals = new Map();
function decimal(text) {
  let found = decimals.get(text);
  if (!found) {
    const [, sign, whole, part = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
    found = fraction(BigInt(whole + part) * (sign ? -1n : 1n), 10n ** BigInt(part.length));
    if (decimals.size > 100_000) decimals.clear();
    decimals.set(text, found);
  }
  return found;
}
const milli = (text) => {
  const { n, d } = decimal(text);
  return (n * 1000n) / d;
};

const POWERS = Array.from({ length: 40 }, (_, i) => 10n ** BigInt(i));

const floorDivide = (n, d) => (n >= 0n || n % d === 0n ? n / d : n / d - 1n);

// n / d to a whole number.
function roundWhole(n, d, mode) {
  const floor = floorDivide(n, d);
  const rest = n - floor * d; // 0 ≤ rest < d
  if (rest === 0n) return floor;
  const isNegative = n < 0n;
  if (mode === 'ceil') return floor + 1n;
  if (mode === 'truncate') return isNegative ? floor + 1n : floor;
  const twice = rest * 2n;
  if (twice !== d) return twice > d ? floor + 1n : floor;
  if (mode === 'half_even') return floor % 2n === 0n ? floor : floor + 1n;
  return isNegative ? floor : floor + 1n;
}

// A fraction of the currency to millionths.
const rounded = (value, { mode, scale }) => roundWhole(value.n * POWERS[scale], value.d, mode) * POWERS[6 - scale];

// ---- calendar

const minutes = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
const two = (n) => String(n).padStart(2, '0');
const periodNames = (tariff) => tariff.periods ?? ['flat'];

function rowOfDay(tariff, day) {
  const { year, month, day: date, weekday } = civil(day);
  const monthDay = `${two(month + 1)}-${two(date)}`;
  const whole = `${year}-${monthDay}`;
  const matches = (row, wanted) => {
    if (row.flag && !tariff.flagged_days?.[row.flag]?.includes(whole)) return false;
    const inside = row.from <= row.to ? row.from <= monthDay && monthDay <= row.to : monthDay >= row.from || monthDay <= row.to;
    return inside && row.days.includes(wanted);
  };
  const kind = tariff.holidays?.includes(whole) ? 'holiday' : tariff.workdays?.includes(whole) ? 'workday' : WEEKDAYS[weekday];
  return tariff.calendar.find((row) => matches(row, kind)) ?? tariff.calendar.find((row) => matches(row, WEEKDAYS[weekday]));
}

// The period of each minute of a day.
const rowMinutes = new WeakMap();
function minutesOfRow(row) {
  let found = rowMinutes.get(row);
  if (found) return found;
  found = new Array(1440).fill(null);
  for (const { from, to, period } of row.bands) {
    const last = minutes(to) > minutes(from) ? minutes(to) : minutes(to) + 1440;
    for (let minute = minutes(from); minute < last; minute++) found[minute % 1440] = period;
  }
  if (found.includes(null)) throw new Error('the bands do not cover the day');
  rowMinutes.set(row, found);
  return found;
}

// Where a row's periods begin: [minute, period].
const rowCuts = new WeakMap();
function cutsOfRow(row) {
  let cuts = rowCuts.get(row);
  if (!cuts) {
    cuts = [];
    minutesOfRow(row).forEach((period, minute) => {
      if (cuts.at(-1)?.[1] !== period) cuts.push([minute, period]);
    });
    rowCuts.set(row, cuts);
  }
  return cuts;
}

// A day's periods as [instant, period]; on a day with a change of offset every minute is asked.
const dayCuts = new WeakMap();
function cutsOfDay(tariff, day) {
  const zone = tariff.time_zone;
  if (!dayCuts.has(tariff.calendar)) dayCuts.set(tariff.calendar, new Map());
  const zones = dayCuts.get(tariff.calendar);
  if (!zones.has(zone)) zones.set(zone, new Map());
  const known = zones.get(zone);
  let cuts = known.get(day);
  if (cuts) return cuts;
  const from = dayStart(zone, day);
  const to = dayStart(zone, day + 1);
  if (from === to) {
    cuts = []; // a day that the date line took
  } else if (!changesWithin(zone, from - 1, to)) {
    cuts = cutsOfRow(rowOfDay(tariff, day)).map(([minute, period]) => [from + minute * MINUTE, period]).filter(([at]) => at < to); // its end may be skipped
  } else {
    cuts = [];
    for (let at = from; at < to; at += MINUTE) {
      const period = minutesOfRow(rowOfDay(tariff, localDay(zone, at)))[localMinute(zone, at)];
      if (cuts.at(-1)?.[1] !== period) cuts.push([at, period]);
    }
  }
  known.set(day, cuts);
  return cuts;
}

// [from, to) as runs of one period.
function runs(tariff, from, to) {
  if (!tariff.calendar || periodNames(tariff).length === 1) return [{ to, period: periodNames(tariff)[0] }];
  const found = [];
  const zone = tariff.time_zone;
  const last = begunDay(zone, to - 1);
  for (let day = begunDay(zone, from); day <= last; day++) {
    for (const [at, period] of cutsOfDay(tariff, day)) {
      if (at >= to) break;
      if (found.length > 0 && at <= from) found.pop();
      if (found.at(-1)?.period === period) continue;
      if (found.length > 0) found.at(-1).to = at;
      found.push({ to, period });
    }
  }
  return found;
}

// The month that holds a local day, from its first day; `first` moves it.
function monthOfDay(day, first = 1) {
  const { year, month, day: date } = civil(day);
  const back = date < first ? 1 : 0;
  return { from: dayNumber(year, month - back, first), to: dayNumber(year, month - back + 1, first) };
}

function windowOfDay(tariff, day) {
  const { over, billing_day: first, season_starts: starts } = tariff.tiers;
  if (over === 'month' || over === 'billing_period') return monthOfDay(day, first);
  const { year } = civil(day);
  if (over === 'year') return { from: dayNumber(year, 0, 1), to: dayNumber(year + 1, 0, 1) };
  const all = [-1, 0, 1].flatMap((more) => starts.map((text) => dayNumber(year + more, Number(text.slice(0, 2)) - 1, Number(text.slice(3)))));
  const from = all.filter((start) => start <= day).at(-1);
  return { from, to: all.find((start) => start > day) };
}

const CLOSING_KINDS = ['demand', 'minimum', 'power_factor'];
const hasClosing = (tariff) => tariff.lines.some(({ kind }) => CLOSING_KINDS.includes(kind));

function windowAt(tariff, at) {
  const zone = tariff.time_zone;
  if (!tariff.tiers && !hasClosing(tariff)) return FOREVER;
  const day = begunDay(zone, at);
  const days = tariff.tiers ? windowOfDay(tariff, day) : monthOfDay(day);
  return { from: dayStart(zone, days.from), to: dayStart(zone, days.to), fromDay: days.from, toDay: days.to };
}

// ---- tiers

const isVolume = (tariff) => tariff.tiers?.kind === 'volume';

const countDays = (zone, first, next) => BigInt(daysBetween(zone, first, next).length);

// The last unit of each tier but the last one, for a holder in a window.
function tierEdges(tariff, holder, window) {
  let part = [1n, 1n];
  if (tariff.tiers?.prorate_opening && holder?.openedAt > window.from && holder.openedAt < window.to)
    part = [begunDay(tariff.time_zone, holder.openedAt), window.fromDay].map((first) => countDays(tariff.time_zone, first, window.toDay));
  const edges = (tariff.tiers?.upper ?? []).map((edge) => {
    if (typeof edge === 'string') return milli(edge);
    const above = BigInt(Math.max(0, (holder?.heads ?? 0) - (edge.heads_above ?? 0)));
    return milli(edge.base) + above * milli(edge.per_head);
  });
  const shrunk = edges.map((edge) => (edge * part[0]) / part[1]);
  for (let i = 1; i < shrunk.length; i++) if (shrunk[i] < shrunk[i - 1]) shrunk[i] = shrunk[i - 1];
  return { edges: shrunk, part };
}

// Steps: the stretches of a window's use between edges of tiers and ends of free quantities, as
// { upper, tier, isFreeFor(line) }. They are found on the tariff's own edges and then moved with the holder's.
const ownSteps = new WeakMap();
function stepsOf(tariff) {
  let steps = ownSteps.get(tariff);
  if (steps) return steps;
  const own = tierEdges(tariff, null, FOREVER).edges;
  const frees = tariff.lines.filter((line) => line.free_quantity).map((line) => milli(line.free_quantity));
  const cuts = [...new Set([...(isVolume(tariff) ? [] : own), ...frees])].filter((cut) => cut > 0n).sort((a, b) => (a < b ? -1 : 1));
  steps = [...cuts, null].map((upper) => {
    const tier = isVolume(tariff) ? null : upper === null ? own.length : own.filter((edge) => edge < upper).length;
    const freeLines = tariff.lines.filter((line) => line.free_quantity && upper !== null && upper <= milli(line.free_quantity));
    return { upper, tier, isEdge: !isVolume(tariff) && own.includes(upper), freeLines };
  });
  ownSteps.set(tariff, steps);
  return steps;
}

function stepUppers(tariff, holder, window) {
  const { edges, part } = tierEdges(tariff, holder, window);
  let least = 0n;
  return stepsOf(tariff).map((step) => {
    if (step.upper === null) return null;
    const moved = step.isEdge ? edges[step.tier] : (step.upper * part[0]) / part[1];
    least = moved > least ? moved : least;
    return least;
  });
}

// Puts quantities (one per period) behind what was used, in proportion where an edge is crossed.
function place(part, uppers, used, quantities) {
  const left = [...quantities];
  let total = left.reduce((a, b) => a + b, 0n);
  for (let step = 0; total > 0n; step++) {
    const room = uppers[step] === null ? total : uppers[step] - used;
    if (room <= 0n) continue;
    const taken = room < total ? room : total;
    let cumulative = 0n;
    let before = 0n;
    for (let i = 0; i < left.length; i++) {
      cumulative += left[i];
      const upTo = (cumulative * taken) / total;
      part.matrix[i][step] += upTo - before;
      left[i] -= upTo - before;
      before = upTo;
    }
    used += taken;
    total -= taken;
  }
  return used;
}

// The same for one period alone.
function placeOne(row, uppers, used, quantity) {
  for (let step = 0; quantity > 0n; step++) {
    const room = uppers[step] === null ? quantity : uppers[step] - used;
    if (room <= 0n) continue;
    const taken = room < quantity ? room : quantity;
    row[step] += taken;
    used += taken;
    quantity -= taken;
  }
  return used;
}

const emptyPart = (tariff) => ({
  tariff,
  matrix: periodNames(tariff).map(() => stepsOf(tariff).map(() => 0n)),
  months: 0n,
  sharedMonths: ZERO,
  days: 0n,
});

// ---- prices

function roundQuantity(line, quantity) {
  if (!line.quantity_rounding) return quantity;
  const unit = 10n ** BigInt(3 - line.quantity_rounding.scale);
  return roundWhole(quantity, unit, line.quantity_rounding.mode) * unit;
}

function quantityAmount(line, part, total) {
  const { tariff } = part;
  const steps = stepsOf(tariff);
  const list = (prices) => (Array.isArray(prices) ? prices : [prices]);
  const volumeTier = isVolume(tariff) ? tierEdges(tariff, null, FOREVER).edges.filter((edge) => roundQuantity(line, total) > edge).length : null;
  const rows = line.prices['*']
    ? [{ prices: list(line.prices['*']), used: steps.map((_, i) => part.matrix.reduce((sum, row) => sum + row[i], 0n)) }]
    : periodNames(tariff).map((name, i) => ({ prices: list(line.prices[name]), used: part.matrix[i] }));
  let sum = ZERO;
  for (const { prices, used } of rows) {
    let cumulative = 0n;
    let before = 0n;
    steps.forEach((step, i) => {
      cumulative += used[i];
      const upTo = roundQuantity(line, cumulative);
      const quantity = upTo - before;
      before = upTo;
      if (quantity === 0n || step.freeLines.includes(line)) return;
      const price = prices.length === 1 ? prices[0] : prices[step.tier ?? volumeTier];
      sum = plus(sum, times(decimal(price), fraction(quantity, 1000n)));
    });
  }
  return sum;
}

const fixedCount = (line, part) => {
  if (line.per === 'purchase') return ZERO;
  if (line.per === 'day') return fraction(part.days);
  return line.prorate ? part.sharedMonths : fraction(part.months);
};

// Lines that build on others, once those are known.
function dependentAmounts(tariff, amounts, { isClosing, factor, carried }) {
  let waiting = tariff.lines.filter(({ name }) => !amounts.has(name));
  while (waiting.length > 0) {
    const ready = waiting.filter((line) => line.of.every((name) => amounts.has(name)));
    if (ready.length === 0) throw new Error('lines build on each other in a circle');
    for (const line of ready) {
      const base = sumOf(line.of.map((name) => amounts.get(name)));
      let amount = ZERO;
      if (line.kind === 'percent') amount = times(base, decimal(line.rate));
      if (line.kind === 'power_factor' && isClosing && factor > 0) {
        const step = line.table.filter(({ from }) => Number(from) <= factor).at(-1);
        if (step) amount = times(base, decimal(step.rate));
      }
      if (line.kind === 'minimum' && isClosing) {
        const missing = minus(minus(decimal(line.amount), base), carried);
        if (isLess(ZERO, missing)) amount = missing;
      }
      amounts.set(line.name, amount);
    }
    waiting = waiting.filter((line) => !ready.includes(line));
  }
  return tariff.lines.map(({ name }) => amounts.get(name));
}

const demandAmount = (line, closing) =>
  times(decimal(line.price), fraction(BigInt(line.basis === 'contracted_kva' ? closing.contracted : closing.demand), 1000n));

// Each line of one version's part of a window, when the whole window holds `total`.
function partLines(part, total, closing, carried = ZERO) {
  const amounts = new Map();
  for (const line of part.tariff.lines) {
    if (line.kind === 'quantity') amounts.set(line.name, quantityAmount(line, part, total));
    if (line.kind === 'fixed') amounts.set(line.name, times(decimal(line.amount), fixedCount(line, part)));
    if (line.kind === 'demand') amounts.set(line.name, closing ? demandAmount(line, closing) : ZERO);
  }
  return dependentAmounts(part.tariff, amounts, { isClosing: Boolean(closing), factor: closing?.factor ?? 0, carried });
}

function total(tariff, lines, carried = ZERO) {
  if (tariff.rounding.at === 'line') return [carried, ...lines].map((amount) => rounded(amount, tariff.rounding)).reduce((a, b) => a + b, 0n);
  return rounded(plus(sumOf(lines), carried), tariff.rounding);
}

// ---- accounts

// What was counted is counted up to the next day that begins in the zone: the date line may have taken the one in between.
const nextBegun = (zone, day) => localDay(zone, dayStart(zone, day));

// whole × part / of, rounded down; what doubles hold exactly is quicker as a double.
function portion(whole, part, of) {
  const product = Number(whole) * part;
  return product < Number.MAX_SAFE_INTEGER ? BigInt(Math.floor(product / of)) : (whole * BigInt(part)) / BigInt(of);
}

export class Account {
  window = null; // { from, to, parts, used, charged }: parts are versions, the last one counts
  monthsUntil = null; // local days, which every zone has
  daysUntil = null;

  // A window is its local dates: a version in another zone with the same dates continues, and ends it at its own midnight.
  #enter(tariff, at) {
    const open = this.window;
    if (open && at < open.to && open.parts.at(-1).tariff === tariff) return;
    const bounds = windowAt(tariff, at);
    if (open && at < open.to && bounds.fromDay === open.fromDay && bounds.toDay === open.toDay) Object.assign(open, bounds);
    else this.window = { ...bounds, parts: [], used: 0n, charged: 0n };
    if (this.window.parts.at(-1)?.tariff !== tariff) this.window.parts.push(emptyPart(tariff));
  }

  // The next account at the same place: nothing used, but no month or day is charged again.
  next() {
    const account = new Account();
    account.monthsUntil = this.monthsUntil;
    account.daysUntil = this.daysUntil;
    return account;
  }

  // Fixed lines: every month and local day that the time touches, once.
  #accrue(tariff, part, from, until) {
    const zone = tariff.time_zone;
    const first = tariff.tiers?.billing_day;
    const counts = tariff.lines.filter(({ kind, per }) => kind === 'fixed' && per !== 'purchase');
    if (counts.length === 0) return;
    const begun = begunDay(zone, from);
    const last = begunDay(zone, until - 1);
    if (counts.some(({ per, prorate }) => per !== 'day' && !prorate)) {
      for (let day = Math.max(begun, this.monthsUntil ?? begun); day <= last; day = this.monthsUntil) {
        part.months += 1n;
        this.monthsUntil = nextBegun(zone, monthOfDay(day, first).to);
      }
    }
    if (!counts.some(({ per, prorate }) => per === 'day' || prorate)) return;
    for (const day of daysBetween(zone, Math.max(begun, this.daysUntil ?? begun), last + 1)) {
      const month = monthOfDay(day, first);
      part.days += 1n;
      part.sharedMonths = plus(part.sharedMonths, fraction(1n, countDays(zone, month.from, month.to)));
      this.daysUntil = nextBegun(zone, day + 1);
    }
  }

  // What earlier versions of the window come to: with volume tiers that follows the total.
  #carried() {
    const { window } = this;
    const earlier = window.parts.slice(0, -1);
    if (earlier.length === 0) return ZERO;
    if (window.carried?.count === earlier.length && !earlier.some(({ tariff }) => isVolume(tariff))) return window.carried.sum;
    window.carried = { count: earlier.length, sum: sumOf(earlier.flatMap((part) => partLines(part, window.used, null))) };
    return window.carried.sum;
  }

  // `onClose`: lines that post at a window's close are not in the charge; they are told apart, to it.
  charge(tariff, { from, to, quantity, perPeriod, holder, closing, onClose }) {
    const names = periodNames(tariff);
    const share = (whole, until) => portion(whole, until - from, to - from); // used before `until`
    let charge = 0n;
    for (let at = from; at < to; ) {
      this.#enter(tariff, at);
      const { window } = this;
      const until = Math.min(window.to, to);
      const part = window.parts.at(-1);
      const uppers = stepUppers(tariff, holder, window);
      if (perPeriod) {
        window.used = place(part, uppers, window.used, perPeriod.map((whole) => share(whole, until) - share(whole, at)));
      } else {
        let before = at;
        for (const run of runs(tariff, at, until)) {
          const piece = share(quantity, run.to) - share(quantity, before);
          if (piece > 0n) window.used = placeOne(part.matrix[names.indexOf(run.period)], uppers, window.used, piece);
          before = run.to;
        }
      }
      this.#accrue(tariff, part, at, until);
      const carried = this.#carried();
      const isClosing = until === window.to && hasClosing(tariff);
      const priceWith = (known) => total(tariff, partLines(part, window.used, known, carried), carried);
      const price = priceWith(isClosing && !onClose ? closing : null);
      charge += price - window.charged;
      window.charged = price;
      if (isClosing && onClose) onClose(priceWith(closing) - price);
      at = until;
    }
    return charge;
  }
}

// ---- a given usage: what it adds to what was used before, all in one window

function quotedCount(tariff, line, from, to) {
  const zone = tariff.time_zone;
  if (line.per === 'purchase') return fraction(1n);
  let count = ZERO;
  const seen = new Set();
  for (const day of daysBetween(zone, begunDay(zone, from), begunDay(zone, to - 1) + 1)) {
    const month = line.per === 'day' ? { from: day, to: day + 1 } : monthOfDay(day, tariff.tiers?.billing_day);
    if (line.prorate) count = plus(count, fraction(1n, countDays(zone, month.from, month.to)));
    else if (!seen.has(month.from) && dayStart(zone, month.from) >= from && dayStart(zone, month.to) <= to) count = plus(count, fraction(1n));
    seen.add(month.from);
  }
  return count;
}

export function quote(tariff, { from, to, quantities, before, holder, closing }) {
  const uppers = stepUppers(tariff, holder, windowAt(tariff, from));
  const earlier = emptyPart(tariff);
  const usedBefore = place(earlier, uppers, 0n, before);
  const later = { ...emptyPart(tariff), matrix: earlier.matrix.map((row) => [...row]) };
  const usedAfter = place(later, uppers, usedBefore, quantities);
  const amounts = new Map();
  for (const line of tariff.lines) {
    if (line.kind === 'quantity') amounts.set(line.name, minus(quantityAmount(line, later, usedAfter), quantityAmount(line, earlier, usedBefore)));
    if (line.kind === 'fixed') amounts.set(line.name, times(decimal(line.amount), quotedCount(tariff, line, from, to)));
    if (line.kind === 'demand') amounts.set(line.name, demandAmount(line, closing));
  }
  return total(tariff, dependentAmounts(tariff, amounts, { isClosing: true, factor: closing.factor, carried: ZERO }));
}

// ---- price indices

const micro = (text) => {
  const { n, d } = decimal(text);
  return (n * 1_000_000n) / d;
};
const plain = (value) => `${value < 0n ? '-' : ''}${String(value < 0n ? -value : value).padStart(7, '0').replace(/(\d{6})$/, '.$1')}`;

// `indices`: "name month" → decimal. A price has six decimals, half up.
export function priced(document, indices, month) {
  const resolved = (price) => {
    if (Array.isArray(price)) return price.map(resolved);
    if (typeof price === 'string') return price;
    const product = times(decimal(indices.get(`${price.index} ${month}`)), decimal(price.times ?? '1'));
    return plain(roundWhole(product.n * 1_000_000n, product.d, 'half_up') + micro(price.plus ?? '0'));
  };
  const lines = document.lines.map((line) => {
    if (line.kind === 'demand') return { ...line, price: resolved(line.price) };
    if (line.kind !== 'quantity') return line;
    return { ...line, prices: Object.fromEntries(Object.entries(line.prices).map(([period, price]) => [period, resolved(price)])) };
  });
  return { ...document, lines };
}

// ---- a usage point: readings of a register, versions and holders that change in between

// An interval is cut where its version or holder changes, one cut after the other, each in proportion to time; with edges
// by heads also at the ends of tier windows, because heads hold for a window. What nobody holds is not charged.
function nextCut(edges, tariff, at, end) {
  const edge = edges.find((each) => each > at) ?? end;
  return Math.min(end, edge, isPersonal(tariff) ? windowAt(tariff, at).to : end);
}

const edgesOf = ({ versions, holders }) => [...versions, ...holders].flatMap(({ from, to }) => [from, to ?? from]).sort((a, b) => a - b);

const isPersonal = ({ tiers }) => tiers !== undefined && (tiers.prorate_opening === true || tiers.upper.some((edge) => Number(edge.per_head) > 0));

function holderFacts({ openedAt, heads }, tariff, at) {
  const begin = Math.max(windowAt(tariff, at).from, openedAt);
  return { openedAt, heads: (heads.findLast(({ from }) => from <= begin) ?? heads[0])?.heads ?? 0 };
}

// The meter's own period registers, where they are this tariff's periods.
function registersFor(point, tariff, registers) {
  const names = periodNames(tariff);
  if (!registers || names.length !== point.registers.length || !names.every((name) => point.registers.includes(name))) return undefined;
  return names.map((name) => registers[point.registers.indexOf(name)]);
}

// point: { versions: [{ from, tariff }], holders: [{ account, from, to, openedAt, heads: [{ from, heads }] }], registers: [name],
// closing }; readings: [{ at, value, registers }] in order. → { pieces, closes }, in millionths.
export function chargeReadings(point, readings) {
  const found = { pieces: [], closes: [] };
  const edges = edgesOf(point);
  let account = new Account();
  let holderAccount = null;
  readings.slice(1).forEach((reading, i) => {
    const before = readings[i];
    const rest = { at: before.at, quantity: reading.value - before.value };
    if (reading.registers && before.registers) rest.registers = reading.registers.map((value, n) => value - before.registers[n]);
    while (rest.at < reading.at) {
      const { at } = rest;
      const { tariff } = point.versions.findLast(({ from }) => from <= at);
      const cut = nextCut(edges, tariff, at, reading.at);
      const take = (whole) => portion(whole, cut - at, reading.at - at);
      const quantity = take(rest.quantity);
      const registers = rest.registers?.map(take);
      const holder = point.holders.find(({ from, to }) => from <= at && at < to);
      if ((holder?.account ?? null) !== holderAccount) account = account.next();
      holderAccount = holder?.account ?? null;
      const interval = {
        from: at, to: cut, quantity, perPeriod: registersFor(point, tariff, registers), closing: point.closing, onClose: (amount) => found.closes.push(amount),
      };
      found.pieces.push(holder ? account.charge(tariff, { ...interval, holder: isPersonal(tariff) ? holderFacts(holder, tariff, at) : undefined }) : 0n);
      rest.at = cut;
      rest.quantity -= quantity;
      rest.registers = rest.registers?.map((value, n) => value - registers[n]);
    }
  });
  return found;
}
