// The board in memory: how an event changes it, what it counts, what a filter leaves of it. Pure.
import type { Board, BoardBuilding, BoardChanged, BoardFloor, BoardRoom, RoomState } from './api/types';
import type { BoardFilter } from './filters';
import { ROOM_STATES } from './vocabulary';

export interface Applied {
  board: Board;
  /** The event named a room the board does not have: it was built since, and the board must be read again. */
  hasUnknown: boolean;
}

/** Rooms, floors and buildings an event does not touch keep their identity, so that only changed cards are drawn again. */
export function applyBoardChanged(board: Board, event: BoardChanged): Applied {
  if (event.property !== board.property.id || isOlder(event.as_of, board.as_of)) return { board, hasUnknown: false };
  const changed = new Map(event.rooms.map((room) => [room.id, room]));
  const pending = new Set(changed.keys());
  const buildings = mapKeeping(board.buildings, (building) => {
    const floors = mapKeeping(building.floors, (floor) => {
      const rooms = mapKeeping(floor.rooms, (room) => {
        const next = changed.get(room.id);
        if (!next) return room;
        pending.delete(room.id);
        return next;
      });
      return rooms === floor.rooms ? floor : { ...floor, rooms };
    });
    return floors === building.floors ? building : { ...building, floors };
  });
  return { board: { ...board, as_of: event.as_of, buildings }, hasUnknown: pending.size > 0 };
}

/** A board that was being read while events arrived: those that are younger than it are applied in their order. */
export function catchUp(board: Board, events: readonly BoardChanged[]): Applied {
  let result: Applied = { board, hasUnknown: false };
  for (const event of events) {
    const next = applyBoardChanged(result.board, event);
    result = { board: next.board, hasUnknown: result.hasUnknown || next.hasUnknown };
  }
  return result;
}

export function countStates(board: Board): Record<RoomState, number> {
  const counts = Object.fromEntries(ROOM_STATES.map((state) => [state, 0])) as Record<RoomState, number>;
  for (const room of roomsOf(board)) counts[room.state] += 1;
  return counts;
}

export function* roomsOf(board: Board): Generator<BoardRoom> {
  for (const building of board.buildings) for (const floor of building.floors) yield* floor.rooms;
}

/** Floors and buildings without a match are left out; without a filter the board itself is the answer. */
export function filterBoard(board: Board, filter: BoardFilter): BoardBuilding[] {
  const needle = filter.text.trim().toLocaleLowerCase();
  const keepsAll = needle === '' && filter.states.length === 0;
  const matches = (room: BoardRoom) =>
    (filter.states.length === 0 || filter.states.includes(room.state)) &&
    (needle === '' || room.name.toLocaleLowerCase().includes(needle) || (room.customer ?? '').toLocaleLowerCase().includes(needle));
  const result: BoardBuilding[] = [];
  for (const building of board.buildings) {
    if (filter.building !== null && building.id !== filter.building) continue;
    const floors = keepsAll ? building.floors : building.floors.map((f) => narrowed(f, matches)).filter((f) => f.rooms.length > 0);
    if (floors.length > 0) result.push(keepsAll ? building : { ...building, floors });
  }
  return result;
}

function narrowed(floor: BoardFloor, matches: (room: BoardRoom) => boolean): BoardFloor {
  const rooms = floor.rooms.filter(matches);
  return rooms.length === floor.rooms.length ? floor : { ...floor, rooms };
}

function isOlder(a: string, b: string): boolean {
  return Date.parse(a) < Date.parse(b);
}

function mapKeeping<T>(items: T[], change: (item: T) => T): T[] {
  let result = items;
  items.forEach((item, i) => {
    const next = change(item);
    if (next === item) return;
    if (result === items) result = items.slice();
    result[i] = next;
  });
  return result;
}
