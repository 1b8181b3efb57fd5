import { describe, expect, it } from 'vitest';

import type { Board, BoardChanged, BoardRoom, RoomState } from '../src/lib/api/types';
import { applyBoardChanged, catchUp, countStates, filterBoard, roomsOf } from '../src/lib/board';
import { isFiltering, readBoardFilter, toggleState, writeBoardFilter, type BoardFilter } from '../src/lib/filters';
import { ROOM_STATE, ROOM_STATES } from '../src/lib/vocabulary';

const AT = '2026-03-02T10:30:00+08:00';
const LATER = '2026-03-02T10:30:05+08:00';
const EARLIER = '2026-03-02T02:29:59Z';

function room(id: string, state: RoomState, balance: string | null = '10.00', customer: string | null = null): BoardRoom {
  return { id, name: id.toUpperCase(), customer, state, lost_since: null, balance, currency: 'CNY', last_reading: null, usage_today: null, charged_today: null };
}

function board(): Board {
  return {
    property: { id: 'p', name: 'P', time_zone: 'Asia/Shanghai', currency: 'CNY', rooms: 4 }, as_of: AT,
    buildings: [
      { id: 'b1', name: '1', floors: [{ id: 'f1', name: '1F', rooms: [room('a1', 'normal', '10.00', '李记面馆'), room('a2', 'arrears')] }, { id: 'f2', name: '2F', rooms: [room('a3', 'normal')] }] },
      { id: 'b2', name: '2', floors: [{ id: 'f3', name: '1F', rooms: [room('c1', 'lost_contact')] }] },
    ],
  };
}

const changed = (rooms: BoardRoom[], as_of = LATER, property = 'p'): BoardChanged => ({ property, as_of, rooms });
const find = (b: Board, id: string) => [...roomsOf(b)].find((r) => r.id === id);
const NO_FILTER: BoardFilter = { states: [], text: '', building: null };

describe('an event on the board', () => {
  it('replaces the room and keeps everything it does not touch', () => {
    const before = board();
    const { board: after, hasUnknown } = applyBoardChanged(before, changed([room('a2', 'normal', '90.00')]));
    expect(find(after, 'a2')).toMatchObject({ state: 'normal', balance: '90.00' });
    expect(hasUnknown).toBe(false);
    expect(after.as_of).toBe(LATER);
    expect(after.buildings[1]).toBe(before.buildings[1]);
    expect(after.buildings[0]?.floors[1]).toBe(before.buildings[0]?.floors[1]);
    expect(find(after, 'a1')).toBe(find(before, 'a1'));
    expect(find(before, 'a2')?.state).toBe('arrears');
  });
  it('of another property, or older than the board, changes nothing', () => {
    const before = board();
    expect(applyBoardChanged(before, changed([room('a2', 'normal')], LATER, 'other')).board).toBe(before);
    expect(applyBoardChanged(before, changed([room('a2', 'normal')], EARLIER)).board).toBe(before);
  });
  it('of the same second counts: the board may be a moment older', () => {
    expect(find(applyBoardChanged(board(), changed([room('a2', 'normal')], AT)).board, 'a2')?.state).toBe('normal');
  });
  it('with a room the board does not have asks for a new reading', () => {
    expect(applyBoardChanged(board(), changed([room('new', 'normal')])).hasUnknown).toBe(true);
  });
  it('a board read while events came is brought up to them in order', () => {
    const events = [changed([room('a1', 'alarm_1', '1.00')], EARLIER), changed([room('a2', 'alarm_2', '2.00')]), changed([room('a2', 'normal', '3.00')], '2026-03-02T10:30:06+08:00')];
    const { board: after } = catchUp(board(), events);
    expect([find(after, 'a1')?.balance, find(after, 'a2')?.balance]).toEqual(['10.00', '3.00']);
  });
});

describe('counters and filters', () => {
  it('counts every state, also those nobody is in', () => {
    expect(countStates(board())).toEqual({ normal: 2, alarm_1: 0, alarm_2: 0, arrears: 1, not_opened: 0, lost_contact: 1 });
  });
  it.each<[Partial<BoardFilter>, string[]]>([
    [{}, ['a1', 'a2', 'a3', 'c1']], [{ states: ['arrears', 'lost_contact'] }, ['a2', 'c1']], [{ text: ' A ' }, ['a1', 'a2', 'a3']], [{ text: '面馆' }, ['a1']],
    [{ building: 'b2' }, ['c1']], [{ building: 'b1', states: ['lost_contact'] }, []], [{ building: 'gone' }, []], [{ text: '.*' }, []],
  ])('%j leaves %j', (filter, ids) => {
    const rooms = filterBoard(board(), { ...NO_FILTER, ...filter }).flatMap((b) => b.floors).flatMap((f) => f.rooms);
    expect(rooms.map((r) => r.id)).toEqual(ids);
  });
  it('leaves out floors without a match, and keeps the identity of whole ones', () => {
    const before = board();
    expect(filterBoard(before, { ...NO_FILTER, states: ['arrears'] })[0]?.floors.map((f) => f.id)).toEqual(['f1']);
    expect(filterBoard(before, NO_FILTER)[0]).toBe(before.buildings[0]);
  });
});

describe('the filter in the address', () => {
  it('goes there and back, and leaves other parameters', () => {
    const filter: BoardFilter = { states: ['arrears', 'normal'], text: '面馆 1', building: 'b/1' };
    const query = writeBoardFilter(new URLSearchParams('other=1'), filter);
    expect(query.get('other')).toBe('1');
    expect(readBoardFilter(new URLSearchParams(query.toString()))).toEqual(filter);
  });
  it('at its default leaves no trace', () => expect(writeBoardFilter(new URLSearchParams('state=arrears&q=x&building=b'), NO_FILTER).toString()).toBe(''));
  it('ignores words it does not know and bounds the text', () => {
    const filter = readBoardFilter(new URLSearchParams(`state=arrears,gone,,arrears&q=${'x'.repeat(500)}`));
    expect(filter.states).toEqual(['arrears']);
    expect(filter.text).toHaveLength(60);
  });
  it('toggles', () => {
    const once = toggleState(NO_FILTER, 'arrears');
    expect(once.states).toEqual(['arrears']);
    expect(toggleState(once, 'arrears').states).toEqual([]);
    expect([isFiltering(once), isFiltering(NO_FILTER), isFiltering({ ...NO_FILTER, text: '  ' })]).toEqual([true, false, false]);
  });
});

describe('the vocabulary of states', () => {
  it('gives each state an icon and a tone of its own', () => {
    expect(new Set(ROOM_STATES)).toEqual(new Set(Object.keys(ROOM_STATE)));
    expect(new Set(ROOM_STATES.map((s) => ROOM_STATE[s].icon)).size).toBe(ROOM_STATES.length);
    expect(new Set(ROOM_STATES.map((s) => ROOM_STATE[s].tone)).size).toBe(ROOM_STATES.length);
  });
});
