// A case by its seed: its lines for the engine, and what the second implementation says to it.
import { Account, chargeReadings, priced, quote } from './model.mjs';
import { FIRST_READ_MS, Random, randomCase, randomPoint, randomUsage } from './random.mjs';

const NOTHING_KNOWN = { demand: 0, contracted: 0, factor: 0 };
const TOO_OFTEN = '! rating: a volume tariff changed too often inside its tier window';
// A minimum over several versions whose rates have many decimals passes 128 bits; the engine says so and charges nothing.
const TOO_EXACT = '! close: a quantity or amount passes what can be represented exactly';

const closingLine = ({ demand, contracted, factor }) => `C ${demand} ${contracted} ${Math.round(factor * 1e6)}\n`;

// ---- one state: versions change at readings

function stateCase(random) {
  const events = randomCase(random, 199);
  const usage = randomUsage(random, events.at(-1).tariff);
  const account = new Account();
  const wanted = [];
  let holder = { heads: 0, openedAt: 0 };
  let closing = NOTHING_KNOWN;
  let value = 0n;
  let text = `T ${JSON.stringify(events[0].tariff)}\nC 0 0 0\nR ${events[0].at} 0\n`;
  for (let i = 1; i < events.length; i++) {
    const event = events[i];
    if (event.tariff !== events[i - 1].tariff) text += `V ${JSON.stringify(event.tariff)}\n`;
    if (event.holder) text += `H ${(holder = event.holder).heads} ${holder.openedAt}\n`;
    if (event.closing) text += closingLine((closing = event.closing));
    text += event.perPeriod ? `P ${event.at} ${event.perPeriod.join(',')}\n` : `R ${event.at} ${(value += event.quantity)}\n`;
    const interval = { from: events[i - 1].at, to: event.at, quantity: event.quantity, perPeriod: event.perPeriod, holder, closing };
    wanted.push(account.charge(event.tariff, interval));
  }
  const { tariff } = events.at(-1);
  text += `Q ${usage.from} ${usage.to} ${usage.quantities.join(',')} ${usage.before.join(',')}\n`;
  wanted.push(quote(tariff, { ...usage, holder, closing }));
  const isBought = tariff.periods.length === 1;
  if (isBought) text += `B ${usage.from} ${usage.to} ${usage.amount} ${usage.before[0]}\n`;
  const versions = new Set(events.map((event) => event.tariff));
  const bought = (quantity) => quote(tariff, { ...usage, quantities: [quantity], holder, closing });
  return {
    text, readings: events.length, excuses: excusesOf([...versions]),
    mismatch(got) {
      if (!isBought || got.startsWith('!')) return sameOrNot(got, wanted.join(' '));
      const at = got.lastIndexOf(' ');
      return sameOrNot(got.slice(0, at), wanted.join(' ')) ?? boughtWrong(tariff, BigInt(got.slice(at + 1)), usage.amount, bought);
    },
  };
}

// The engine remembers what up to twelve edges of volume tiers come to; more only a random case has.
// With indices each month is a version.
const isOftenVolume = (tariffs) => tariffs.filter(({ tiers }) => tiers?.kind === 'volume').length > 1;

function excusesOf(tariffs) {
  const found = isOftenVolume(tariffs) ? [TOO_OFTEN] : [];
  const isFine = ({ rate }) => (rate?.split('.')[1]?.length ?? 0) > 4;
  const hasMinimum = tariffs.some(({ lines }) => lines.some(({ kind }) => kind === 'minimum'));
  if (tariffs.length > 1 && hasMinimum && tariffs.some(({ lines }) => lines.some(isFine))) found.push(TOO_EXACT, TOO_EXACT.replace('close', 'rating'));
  return found;
}

const sameOrNot = (got, wanted) => (got === wanted ? null : `the engine: ${got}\nthe model:  ${wanted}`);

// More never costs less.
export function isMonotone({ tiers, lines }) {
  const isLess = (price) => (Array.isArray(price) ? price.some(isLess) : typeof price === 'string' ? price.startsWith('-') : (price.plus ?? '').startsWith('-'));
  const isDear = (line) => line.kind !== 'power_factor' && !line.rate?.startsWith('-') && !Object.values(line.prices ?? {}).some(isLess) && !line.amount?.startsWith('-');
  // What a minimum tops up falls as much as its lines rise, a percentage of the minimum alone even more.
  const hasMinimum = lines.some(({ kind }) => kind === 'minimum');
  return tiers?.kind !== 'volume' && lines.every(isDear) && !hasMinimum;
}

const stepOf = (tariff) => {
  const scales = tariff.lines.filter((line) => line.quantity_rounding).map((line) => line.quantity_rounding.scale);
  return 10n ** BigInt(3 - (scales.length ? Math.max(...scales) : 1));
};

function boughtWrong(tariff, quantity, amount, priceOf) {
  const step = stepOf(tariff);
  if (quantity === -2n) return null;
  if (quantity >= 0n && priceOf(quantity) > amount) return `${quantity} is not paid by ${amount}`;
  if (quantity !== -1n && quantity % step !== 0n) return `${quantity} is no multiple of ${step}`;
  if (isMonotone(tariff) && priceOf(quantity < 0n ? 0n : quantity + step) <= amount) return `${amount} pays for more than ${quantity}`;
  return null;
}

// ---- a usage point: late and corrected readings, versions, holders and indices at their own instants

const csvOf = (indices, isProvisional) => [...indices].map(([key, value]) => `${key.replace(' ', ',')},${value},${isProvisional}`).join(';');

function arrivalLine(arrival) {
  if (arrival.remove !== undefined) return `X ${arrival.remove}\n`;
  return `A ${arrival.at} ${arrival.value} ${arrival.registers?.join(',') ?? ''}`.trimEnd() + '\n';
}

const resultOf = ({ pieces, closes }) => `${pieces.map((amount) => `${amount} `).join('')};${closes.map((amount) => ` ${amount}`).join('')}`;

function pointCase(random) {
  const point = randomPoint(random, 199);
  const first = point.start - FIRST_READ_MS;
  const readings = [{ at: first, value: 0n }, ...point.readings];
  const wanted = (indices) => {
    const versions = point.versions.map((version) => ({ ...version, tariff: indices ? priced(version.tariff, indices, version.month) : version.tariff }));
    return resultOf(chargeReadings({ ...point, versions }, readings));
  };
  const indices = point.provisional ?? point.indices;
  let text = `Z ${point.versions[0].tariff.time_zone} ${first} ${point.registers.join(',')}`.trimEnd() + '\n' + closingLine(point.closing);
  if (indices) text += `I ${csvOf(indices, Boolean(point.provisional))}\n`;
  for (const { from, tariff } of point.versions) text += `D ${from} ${JSON.stringify(tariff)}\n`;
  for (const { account, from, to, openedAt, heads } of point.holders) {
    text += `O ${account} ${from} ${to} ${openedAt} ${heads.map((one) => `${one.from}:${one.heads}`).join(',')}\n`;
  }
  text += point.arrivals.map(arrivalLine).join('') + 'E\n';
  if (point.provisional) text += `F ${csvOf(point.indices, false)}\nE\n`;
  const result = point.provisional ? wanted(point.provisional) + wanted(point.indices) : wanted(indices);
  return {
    text, readings: point.readings.length, excuses: excusesOf(point.versions.map(({ tariff }) => tariff)),
    mismatch: (got) => sameOrNot(got, result),
  };
}

export function caseOf(seed) {
  const random = new Random(seed);
  const drawn = random.chance(0.5) ? stateCase(random) : pointCase(random);
  // The reason why the engine's answer is wrong, or null.
  const why = (got) => (drawn.excuses.includes(got) ? null : drawn.mismatch(got));
  return { seed, text: `${drawn.text}.\n`, readings: drawn.readings, why };
}
