// Times arrive in the property's own offset and are shown as they arrive: an operator abroad sees the clock of the building, not of the desk.

const SHAPE = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

interface Wall {
  date: string;
  year: string;
  monthDay: string;
  clock: string;
  seconds: string;
  offset: string;
}

function wallOf(instant: string): Wall | null {
  const m = SHAPE.exec(instant);
  if (!m) return null;
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '', offset = 'Z'] = m;
  return {
    date: `${year}-${month}-${day}`,
    year,
    monthDay: `${month}-${day}`,
    clock: `${hour}:${minute}`,
    seconds: second,
    offset,
  };
}

function offsetMs(offset: string): number {
  if (offset === 'Z') return 0;
  const sign = offset.startsWith('-') ? -1 : 1;
  return sign * (Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4, 6))) * 60_000;
}

function dateThere(nowMs: number, offset: string): string {
  return new Date(nowMs + offsetMs(offset)).toISOString().slice(0, 10);
}

/** "10:31" today, "03-01 10:31" this year, "2025-12-31 10:31" else. What is no time is shown as it is. */
export function shortTime(instant: string, nowMs: number = Date.now()): string {
  const wall = wallOf(instant);
  if (!wall) return instant;
  const today = dateThere(nowMs, wall.offset);
  if (today === wall.date) return wall.clock;
  return today.startsWith(wall.year) ? `${wall.monthDay} ${wall.clock}` : `${wall.date} ${wall.clock}`;
}

/** "2026-03-02 10:31:04 +08:00", for tooltips and proofs. */
export function fullTime(instant: string): string {
  const wall = wallOf(instant);
  return wall ? `${wall.date} ${wall.clock}:${wall.seconds} ${wall.offset === 'Z' ? 'UTC' : wall.offset}` : instant;
}

export function clockTime(instant: string): string {
  return wallOf(instant)?.clock ?? instant;
}

export function dateOf(instant: string): string {
  return wallOf(instant)?.date ?? instant;
}

/** Both ends, the second without its date where it is the same day. */
export function spanText(from: string, to: string, nowMs: number = Date.now()): string {
  return dateOf(from) === dateOf(to) ? `${shortTime(from, nowMs)} – ${clockTime(to)}` : `${shortTime(from, nowMs)} – ${shortTime(to, nowMs)}`;
}
