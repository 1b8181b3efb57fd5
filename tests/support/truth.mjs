// The fleet's truth log against the books: what was acknowledged is booked once with its value, what is booked was really
// shown by a meter, and what was charged is what the register rose by.
//
//   const { problems, acknowledged, answered, booked } = await compareTruth(stack, '/path/of/truth');
//   assert.deepEqual(problems, []);
//
// Call it when billing has claimed every block. Only the total energy register is compared: it is what is charged.
import { readFileSync } from 'node:fs';

const REGISTER = 'active_energy_total';
const PROBLEMS_MAX = 20;

// "1234.56" kWh → 1234560 Wh, exactly.
export function wattHours(text) {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole) * 1000n + BigInt(fraction.padEnd(3, '0'));
}

// A last line cut short by a kill is no line.
export function readTruth(path) {
  const text = readFileSync(path, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

async function bookedReadings(stack) {
  const { rows } = await stack.query(
    `select m.bus_address, r.channel_num, (extract(epoch from r.read_at) * 1000)::bigint as at, r.value
     from billing.reading r
     join core.channel c on c.company_id = r.company_id and c.num = r.channel_num
     join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
     where r.register = 0`,
  );
  return rows;
}

// Base charges of a usage point tile its register: the energy charged is the last booked value minus the opening one.
async function chargedDifferences(stack) {
  const { rows } = await stack.query(
    `select m.bus_address, sum(c.to_value - c.from_value) as charged, max(c.to_value) - min(c.from_value) as risen
     from billing.charge c
     join core.channel ch on ch.company_id = c.company_id and ch.num = c.channel_num
     join core.meter m on m.company_id = ch.company_id and m.num = ch.meter_num
     where c.kind = 0
     group by m.bus_address, c.channel_num, c.epoch
     having sum(c.to_value - c.from_value) <> max(c.to_value) - min(c.from_value)`,
  );
  return rows;
}

export async function compareTruth(stack, path) {
  const lines = readTruth(path).filter((line) => line.register === REGISTER);
  const acknowledged = lines.filter((line) => line.event === 'acknowledged');
  const shown = new Map(); // meter → values it has shown, in any way
  for (const line of lines) {
    if (!shown.has(line.meter)) shown.set(line.meter, new Set());
    shown.get(line.meter).add(wattHours(line.value));
  }
  const problems = [];
  const tell = (text) => problems.length < PROBLEMS_MAX && problems.push(text);
  const booked = await bookedReadings(stack);
  const byKey = new Map();
  for (const row of booked) {
    const key = `${row.bus_address} ${row.at}`;
    if (byKey.has(key)) tell(`${key} is booked twice`);
    byKey.set(key, row.value);
  }
  for (const line of acknowledged) {
    const key = `${line.meter} ${Date.parse(line.at)}`;
    const value = byKey.get(key);
    if (value === undefined) tell(`${key} was acknowledged and is not booked`);
    else if (value !== wattHours(line.value)) tell(`${key} was ${line.value} kWh and is booked as ${value} Wh`);
  }
  const first = Math.min(...lines.map((line) => Date.parse(line.at)));
  for (const row of booked) {
    if (Number(row.at) < first || !shown.has(row.bus_address)) continue; // history from before the fleet
    if (!shown.get(row.bus_address).has(row.value)) tell(`${row.bus_address} is booked at ${row.value} Wh, which it never showed`);
  }
  for (const row of await chargedDifferences(stack)) tell(`${row.bus_address} was charged ${row.charged} Wh for a rise of ${row.risen} Wh`);
  return { problems, acknowledged: acknowledged.length, answered: lines.length - acknowledged.length, booked: booked.length };
}
