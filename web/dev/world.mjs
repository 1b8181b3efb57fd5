// A small invented world with the shapes of the contract, for working on the screens and for the component checks: two properties that work,
// one that is empty, one the operator may not see, one whose board always fails. Seeded: the same start gives the same world.

const OFFSET_MIN = 480;

export function iso(ms) {
  const local = new Date(ms + OFFSET_MIN * 60_000).toISOString().slice(0, 19);
  return `${local}+08:00`;
}

function dayStart(ms) {
  const day = 86_400_000;
  const shift = OFFSET_MIN * 60_000;
  return Math.floor((ms + shift) / day) * day - shift;
}

export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Micro-units to a decimal string with at least `min` digits. */
export function decimal(micro, min = 2) {
  const negative = micro < 0n;
  const magnitude = negative ? -micro : micro;
  let fraction = (magnitude % 1_000_000n).toString().padStart(6, '0');
  while (fraction.length > min && fraction.endsWith('0')) fraction = fraction.slice(0, -1);
  return `${negative ? '-' : ''}${magnitude / 1_000_000n}${fraction ? `.${fraction}` : ''}`;
}

const CUSTOMERS = ['海港茶室', 'Blue Harbour Café', '顺丰快递', '李记面馆', 'Lumen Optics', '周氏牙科', '云帆科技', 'North Pier Books', '和平药房', '晨光文具', 'Atlas Fitness', '聚福超市', '王建国', '陈晓梅', 'Nova Design', '天天洗衣'];
const PRICE = { peak: 1_037_000n, flat: 686_000n, valley: 335_000n };
const MICRO = 1_000_000n;

function periodOf(hour) {
  if (hour >= 8 && hour < 12) return 'peak';
  if (hour >= 18 && hour < 22) return 'peak';
  return hour < 7 || hour >= 23 ? 'valley' : 'flat';
}

/** Money to the cent, half up. */
function cents(micro) {
  return ((micro + 5_000n) / 10_000n) * 10_000n;
}

function makeRoom(random, now, name, index, house) {
  const chance = random();
  const kind = chance < 0.08 ? 'not_opened' : chance < 0.13 ? 'lost_contact' : 'open';
  const balance = kind === 'not_opened' ? null : BigInt(Math.round((random() ** 2 * 900 - (random() < 0.12 ? 60 : 0) + (random() < 0.2 ? 0 : 40)) * 100)) * 10_000n;
  const start = dayStart(now);
  const hours = Math.ceil((now - start) / 3_600_000);
  const perHour = Array.from({ length: hours }, (_, h) => BigInt(Math.round((0.15 + random() * (h > 7 && h < 21 ? 2.2 : 0.5)) * 100)) * 10_000n);
  const last = Math.max(start + 60_000, now - Math.round(random() * 20) * 60_000);
  return {
    id: `${house}-r${index}`, name, kind, balance, perHour,
    customer: kind === 'not_opened' ? null : CUSTOMERS[Math.floor(random() * CUSTOMERS.length)],
    register: BigInt(Math.round(random() * 40_000 + 800)) * MICRO + 370_000n,
    readAt: last, lostAt: kind === 'lost_contact' ? start + Math.round(random() * (now - start)) : null,
    alarm1: 5000n * 10_000n, alarm2: 2000n * 10_000n, version: 1, hasWater: random() < 0.25,
  };
}

export function stateOf(room) {
  if (room.kind !== 'open') return room.kind;
  if (room.balance <= 0n) return 'arrears';
  if (room.balance <= room.alarm2) return 'alarm_2';
  return room.balance <= room.alarm1 ? 'alarm_1' : 'normal';
}

function levelOf(room) {
  return stateOf({ ...room, kind: 'open' });
}

const sum = (list) => list.reduce((a, b) => a + b, 0n);

function costOfHours(perHour) {
  return sum(perHour.map((quantity, hour) => cents((quantity * PRICE[periodOf(hour)]) / MICRO)));
}

export function cardOf(room) {
  const isOpen = room.kind !== 'not_opened';
  return {
    id: room.id, name: room.name, customer: room.customer, state: stateOf(room), lost_since: room.lostAt === null ? null : iso(room.lostAt),
    balance: isOpen ? decimal(room.balance) : null, currency: 'CNY',
    last_reading: { value: decimal(room.register), unit: 'kWh', read_at: iso(room.readAt) },
    usage_today: isOpen ? { value: decimal(sum(room.perHour)), unit: 'kWh' } : null,
    charged_today: isOpen ? decimal(costOfHours(room.perHour)) : null,
  };
}

function makeProperty(random, now, id, name, houses) {
  const buildings = houses.map(([label, floors, perFloor], b) => ({
    id: `${id}-b${b}`, name: label,
    floors: Array.from({ length: floors }, (_, f) => ({
      id: `${id}-b${b}-f${f}`, name: `${f + 1}F`,
      rooms: Array.from({ length: perFloor }, (_, r) => makeRoom(random, now, `${String.fromCharCode(65 + b)}-${f + 1}${String(r + 1).padStart(2, '0')}`, `${b}-${f}-${r}`, id)),
    })),
  }));
  return { id, name, buildings };
}

export function makeWorld(seed, now) {
  const random = randomOf(seed);
  const properties = [
    makeProperty(random, now, 'harbour', '海港广场 Harbour Plaza', [['A座 Tower A', 8, 14], ['B座 Tower B', 12, 18], ['商业裙楼 Podium', 3, 24]]),
    makeProperty(random, now, 'dorm', '望江学生公寓', [['1号楼', 6, 20]]),
    { id: 'empty', name: '新区（筹建）', buildings: [] },
    { id: 'forbidden', name: 'No access', buildings: [], status: 403 },
    { id: 'broken', name: 'Always fails', buildings: [], status: 500 },
  ];
  const rooms = new Map();
  for (const p of properties) for (const b of p.buildings) for (const f of b.floors) for (const r of f.rooms) rooms.set(r.id, { room: r, property: p, building: b, floor: f });
  return { random, properties, rooms };
}

export function propertyOf(p) {
  return { id: p.id, name: p.name, time_zone: 'Asia/Shanghai', currency: 'CNY', rooms: p.buildings.flatMap((b) => b.floors).flatMap((f) => f.rooms).length };
}

export function boardOf(p, now) {
  return {
    property: propertyOf(p), as_of: iso(now),
    buildings: p.buildings.map((b) => ({ id: b.id, name: b.name, floors: b.floors.map((f) => ({ id: f.id, name: f.name, rooms: f.rooms.map(cardOf) })) })),
  };
}

export function overviewOf(properties, now) {
  const rooms = properties.flatMap((p) => p.buildings).flatMap((b) => b.floors).flatMap((f) => f.rooms);
  const by = { normal: 0, alarm_1: 0, alarm_2: 0, arrears: 0, not_opened: 0, lost_contact: 0 };
  for (const room of rooms) by[stateOf(room)] += 1;
  const charged = sum(rooms.filter((r) => r.kind !== 'not_opened').map((r) => costOfHours(r.perHour)));
  return { as_of: iso(now), rooms: rooms.length, rooms_by_state: by, meters: rooms.length, meters_online: rooms.length - by.lost_contact, charged_today: [{ amount: decimal(charged), currency: 'CNY' }] };
}

export function thresholdsOf(room) {
  const items = [{ purpose: 'electricity', alarm_1: decimal(room.alarm1), alarm_2: decimal(room.alarm2) }];
  if (room.hasWater) items.push({ purpose: 'cold_water', alarm_1: '20.00', alarm_2: null });
  return { currency: 'CNY', items };
}

function lastValues(room) {
  const at = iso(room.readAt);
  const value = (name, text, unit) => ({ name, value: text, unit, read_at: at });
  return [
    value('active_energy_total', decimal(room.register), 'kWh'), value('active_energy_peak', decimal((room.register * 46n) / 100n / 10_000n * 10_000n), 'kWh'),
    value('active_energy_valley', decimal((room.register * 21n) / 100n / 10_000n * 10_000n), 'kWh'), value('voltage_a', '228.4', 'V'), value('current_a', '3.871', 'A'),
    value('active_power_total', '0.8612', 'kW'), value('power_factor', '0.974', ''), value('relay', stateOf(room) === 'arrears' ? 'open' : 'closed', ''),
  ];
}

export function roomOf({ room, property, building, floor }) {
  const ref = ({ id, name }) => ({ id, name });
  const isOpen = room.kind !== 'not_opened';
  const isOnline = room.kind !== 'lost_contact';
  const lost = room.lostAt === null ? null : iso(room.lostAt);
  const point = (suffix, name, utility, unit, code) => ({
    id: `${room.id}-${suffix}`, name, utility, unit, tariff: isOpen ? { code, version: 3, effective_from: '2026-01-01T00:00:00+08:00' } : null,
    last_reading: { value: suffix === 'e' ? decimal(room.register) : '184.62', unit, read_at: iso(room.readAt) },
    meters: [{
      id: `${room.id}-m-${suffix}`, address: `20230${String(100_000 + Number(room.id.replace(/\D/g, '') || 1)).slice(-6)}${suffix === 'e' ? '1' : '2'}`.slice(0, 12), model: suffix === 'e' ? 'DDSY-1352' : 'LXSY-20', channel: 1,
      online: isOnline, lost_since: lost, gateway: { id: 'g1', name: 'GW-A-03', link: suffix === 'e' ? 'dtu_tcp' : 'http_push', online: isOnline, lost_since: lost },
      last_values: suffix === 'e' ? lastValues(room) : [{ name: 'water_volume_total', value: '184.62', unit: 'm3', read_at: iso(room.readAt) }],
    }],
  });
  const purse = (purpose, balance, level, a1, a2, overdraft = '0.00') => ({ purpose, balance, level, alarm_1: a1, alarm_2: a2, overdraft_limit: overdraft });
  return {
    id: room.id, name: room.name, place: { property: ref(property), building: ref(building), floor: ref(floor) }, state: stateOf(room), lost_since: lost,
    customer: isOpen ? { short_name: room.customer } : null,
    account: isOpen ? {
      id: `${room.id}-a`, number: `HB-${room.id.replace(/\D/g, '').padStart(6, '0')}`, opened_at: '2025-09-01T09:00:00+08:00', currency: 'CNY',
      purses: [
        purse('electricity', decimal(room.balance), levelOf(room), decimal(room.alarm1), decimal(room.alarm2), '50.00'),
        ...(room.hasWater ? [purse('cold_water', '86.40', 'normal', '20.00', null)] : []), purse('deposit', '500.00', null, null, null),
      ],
    } : null,
    usage_points: [point('e', '照明插座 P1', 'electricity', 'kWh', 'sh-commercial-tou'), ...(room.hasWater ? [point('w', '给水 W1', 'cold_water', 'm3', 'sh-water-2024')] : [])],
  };
}

export function todayOf({ room }, utility, now) {
  const start = dayStart(now);
  const isWater = utility === 'w';
  const quantities = isWater ? room.perHour.map((q) => (q / 120_000n) * 10_000n) : room.perHour;
  const priceAt = (h) => (isWater ? 5_000_000n : PRICE[periodOf(h)]);
  const hours = room.kind === 'not_opened' ? [] : quantities.map((q, h) => ({ from: iso(start + h * 3_600_000), to: iso(start + (h + 1) * 3_600_000), quantity: decimal(q), amount: decimal(cents((q * priceAt(h)) / MICRO)) }));
  const by = { peak: 0n, flat: 0n, valley: 0n };
  if (hours.length > 0) quantities.forEach((q, h) => { by[periodOf(h)] += q; });
  return {
    day: iso(now).slice(0, 10), time_zone: 'Asia/Shanghai', unit: isWater ? 'm3' : 'kWh', currency: 'CNY', quantity: decimal(hours.length > 0 ? sum(quantities) : 0n),
    amount: decimal(hours.length > 0 ? sum(quantities.map((q, h) => cents((q * priceAt(h)) / MICRO))) : 0n), complete_until: hours.length === 0 ? null : iso(room.readAt), hours,
    periods: isWater ? [{ period: 'flat', quantity: decimal(sum(quantities)) }] : Object.entries(by).map(([period, q]) => ({ period, quantity: decimal(q) })),
  };
}

const CHARGES = 60;
const HALF_HOUR = 1_800_000;

export function chargeOf({ room }, utility, n) {
  const random = randomOf(n * 7919 + room.id.length * 131 + Number(room.id.replace(/\D/g, '') || 0));
  const to = Math.floor(room.readAt / HALF_HOUR) * HALF_HOUR - n * HALF_HOUR;
  const quantity = BigInt(Math.round((0.1 + random() * 1.1) * 100)) * 10_000n;
  const hour = new Date(to - HALF_HOUR + OFFSET_MIN * 60_000).getUTCHours();
  const price = utility === 'w' ? 5_000_000n : PRICE[periodOf(hour)];
  const isCorrection = n === 7;
  const amount = cents((quantity * price) / MICRO);
  return {
    id: `${room.id}-${utility}-c${n}`, cause: isCorrection ? 'correction' : 'reading', estimated: false, from: iso(to - HALF_HOUR), to: iso(to), booked_at: iso(to + 42_000), unit: utility === 'w' ? 'm3' : 'kWh',
    quantity: decimal(isCorrection ? -quantity : quantity), amount: decimal(isCorrection ? -amount : amount), currency: 'CNY',
  };
}

export function chargesPage(place, utility, cursor, limit) {
  if (place.room.kind === 'not_opened') return { items: [], next_cursor: null };
  const from = cursor === null ? 0 : Number(cursor.replace(/^n/, ''));
  const to = Math.min(CHARGES, from + limit);
  return { items: Array.from({ length: to - from }, (_, i) => chargeOf(place, utility, from + i)), next_cursor: to < CHARGES ? `n${to}` : null };
}

export function explanationOf(place, utility, n, language) {
  const charge = chargeOf(place, utility, n);
  const micro = (text) => { const [w, f = ''] = text.replace('-', '').split('.'); return BigInt(w) * MICRO + BigInt(f.padEnd(6, '0')); };
  const quantity = micro(charge.quantity);
  const amount = micro(charge.amount);
  const hour = Number(charge.from.slice(11, 13));
  const period = utility === 'w' ? null : periodOf(hour);
  const price = period === null ? 5_000_000n : PRICE[period];
  const before = 142_380_000n;
  const unrounded = (q) => (q * price) / MICRO;
  const others = utility === 'w' ? [] : ['peak', 'flat', 'valley'].filter((p) => p !== period).map((p) => ({ p, q: p === 'peak' ? 98_120_000n : p === 'flat' ? 120_440_000n : 61_900_000n }));
  const line = (p, q0, q1) => {
    const at = p === null ? price : PRICE[p];
    const of = (q) => (q * at) / MICRO;
    return { name: utility === 'w' ? 'water' : 'energy', kind: 'quantity', period: p, tier: 1, quantity_before: decimal(q0), quantity_after: decimal(q1), price: decimal(at), amount_before: decimal(of(q0)), amount_after: decimal(of(q1)), amount: decimal(of(q1) - of(q0)) };
  };
  const lines = [...others.map(({ p, q }) => line(p, q, q)), line(period, before, before + quantity)];
  const total = unrounded(before + quantity) + sum(others.map(({ p, q }) => (q * PRICE[p]) / MICRO));
  const names = { peak: ['peak', '峰'], flat: ['flat', '平'], valley: ['valley', '谷'] }[period ?? 'flat'];
  const sentences = language === 'en' ? [
    `Between ${charge.from.slice(11, 16)} and ${charge.to.slice(11, 16)} the meter advanced by ${charge.quantity} ${charge.unit}, all of it in the ${names[0]} period, tier 1.`,
    `Since the first of the month this room has used ${decimal(before + quantity)} ${charge.unit} in this period; the whole month so far costs ¥${decimal(cents(total))}.`,
    `¥${decimal(cents(total) - amount)} of that had been charged before, so this charge is ¥${charge.amount}.`,
  ] : [
    `${charge.from.slice(11, 16)} 至 ${charge.to.slice(11, 16)} 表计走字 ${charge.quantity} ${charge.unit}，全部落在${names[1]}时段第 1 档。`,
    `本月该时段累计用量 ${decimal(before + quantity)} ${charge.unit}；整月至今应计 ¥${decimal(cents(total))}。`,
    `其中 ¥${decimal(cents(total) - amount)} 此前已扣，本次扣费 ¥${charge.amount}。`,
  ];
  return {
    charge, sentences, readings: { from: { value: decimal(place.room.register - quantity), unit: charge.unit, read_at: charge.from }, to: { value: decimal(place.room.register), unit: charge.unit, read_at: charge.to } },
    tariff: { code: utility === 'w' ? 'sh-water-2024' : 'sh-commercial-tou', version: 3, effective_from: '2026-01-01T00:00:00+08:00' },
    closing: null, corrects: null, indices: [],
    window: { over: 'month', from: `${charge.from.slice(0, 8)}01T00:00:00+08:00`, to: null, used_before: decimal(before + sum(others.map(({ q }) => q))), used_after: decimal(before + quantity + sum(others.map(({ q }) => q))) },
    pieces: [{ from: charge.from, to: charge.to, period, tier: 1, quantity: decimal(quantity) }], lines, unrounded_total: decimal(total),
    rounding: { mode: 'half_up', scale: 2, at: 'total' }, total: decimal(cents(total)), already_charged: decimal(cents(total) - amount),
  };
}

/** A new reading of some rooms that are open: the register rises, the balance falls. Returns the changed rooms by property. */
export function advance(world, now, count) {
  const open = [...world.rooms.values()].filter(({ room }) => room.kind === 'open');
  const changed = new Map();
  for (let i = 0; i < count; i += 1) {
    const { room, property } = open[Math.floor(world.random() * open.length)];
    const quantity = BigInt(1 + Math.floor(world.random() * 40)) * 10_000n;
    const hour = new Date(now + OFFSET_MIN * 60_000).getUTCHours();
    while (room.perHour.length <= hour) room.perHour.push(0n);
    room.perHour[hour] += quantity;
    room.register += quantity;
    room.balance -= cents((quantity * PRICE[periodOf(hour)]) / MICRO);
    room.readAt = now;
    if (!changed.has(property.id)) changed.set(property.id, new Set());
    changed.get(property.id).add(room);
  }
  return changed;
}
