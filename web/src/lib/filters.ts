// What the board shows lives in the address: a filtered board can be bookmarked, sent and gone back to.
import type { RoomState } from './api/types';
import { ROOM_STATES } from './vocabulary';

export interface BoardFilter {
  states: RoomState[];
  text: string;
  building: string | null;
}

const TEXT_MAX = 60;

/** What the address says that is not known is ignored: an old bookmark still opens. */
export function readBoardFilter(query: URLSearchParams): BoardFilter {
  const asked = new Set((query.get('state') ?? '').split(','));
  return {
    states: ROOM_STATES.filter((state) => asked.has(state)),
    text: (query.get('q') ?? '').slice(0, TEXT_MAX),
    building: query.get('building') || null,
  };
}

/** Other parameters of the address stay; what is at its default is left out. */
export function writeBoardFilter(query: URLSearchParams, filter: BoardFilter): URLSearchParams {
  const next = new URLSearchParams(query);
  setOrDelete(next, 'state', ROOM_STATES.filter((state) => filter.states.includes(state)).join(','));
  setOrDelete(next, 'q', filter.text.slice(0, TEXT_MAX));
  setOrDelete(next, 'building', filter.building ?? '');
  return next;
}

export function toggleState(filter: BoardFilter, state: RoomState): BoardFilter {
  const has = filter.states.includes(state);
  return { ...filter, states: ROOM_STATES.filter((s) => (s === state ? !has : filter.states.includes(s))) };
}

export function isFiltering(filter: BoardFilter): boolean {
  return filter.states.length > 0 || filter.text.trim() !== '' || filter.building !== null;
}

function setOrDelete(query: URLSearchParams, key: string, value: string): void {
  if (value === '') query.delete(key);
  else query.set(key, value);
}
