import { beforeEach, describe, expect, it, vi } from 'vitest';

import { followVisibility, LiveFeed, readBoardChanged, retryDelayMs, streamUrl, type LiveOptions } from '../src/lib/live';

class FakeSource {
  static made: FakeSource[] = [];
  readyState = 0;
  isClosed = false;
  private listeners = new Map<string, ((event: MessageEvent) => void)[]>();
  constructor(readonly url: string) {
    FakeSource.made.push(this);
  }
  addEventListener(type: string, listener: (event: MessageEvent) => void) {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener]);
  }
  close() {
    this.isClosed = true;
  }
  emit(type: string, data = '', lastEventId = '') {
    this.listeners.get(type)?.forEach((listener) => listener({ data, lastEventId } as MessageEvent));
  }
}

const EVENT = JSON.stringify({ property: 'p', as_of: '2026-03-02T10:30:00+08:00', rooms: [] });

function feedOf() {
  const timers: { run: () => void; delayMs: number }[] = [];
  const cleared: unknown[] = [];
  const options: LiveOptions = {
    url: '/events',
    open: (url) => new FakeSource(url),
    setTimer: (run, delayMs) => timers.push({ run, delayMs }),
    clearTimer: (timer) => cleared.push(timer),
    random: () => 1,
  };
  const feed = new LiveFeed(options);
  const seen: string[] = [];
  feed.listen({ onBoardChanged: (event) => seen.push(event.property), onReset: () => seen.push('reset') });
  const source = (i: number) => {
    const made = FakeSource.made[i];
    if (!made) throw new Error(`no stream ${i}`);
    return made;
  };
  return { feed, timers, cleared, seen, source };
}

describe('the stream of events', () => {
  beforeEach(() => {
    FakeSource.made = [];
  });

  it('is one per tab, however often it is started', () => {
    const { feed, source } = feedOf();
    feed.start();
    feed.start();
    expect(FakeSource.made).toHaveLength(1);
    source(0).emit('open');
    expect(feed.status).toBe('live');
  });

  it('passes events on, drops what is none, tells a reset', () => {
    const { feed, seen, source } = feedOf();
    feed.start();
    source(0).emit('board.changed', EVENT, '7');
    source(0).emit('board.changed', '{"property":1}', '8');
    source(0).emit('board.changed', 'not json', '9');
    source(0).emit('reset', '{"reason":"too_old"}', '20');
    expect(seen).toEqual(['p', 'reset']);
    feed.stop();
    feed.start();
    expect(source(1).url).toBe('/events?last_event_id=20');
  });

  it('leaves reconnecting to the browser while it tries', () => {
    const { feed, timers, source } = feedOf();
    feed.start();
    source(0).emit('open');
    source(0).emit('error');
    expect(feed.status).toBe('waiting');
    expect(timers).toHaveLength(0);
    expect(source(0).isClosed).toBe(false);
  });

  it('opens a new one after the last number when the browser gave up, later each time, and soon again after success', () => {
    const { feed, timers, source } = feedOf();
    feed.start();
    source(0).emit('board.changed', EVENT, '41');
    for (let i = 0; i < 3; i += 1) {
      source(i).readyState = 2;
      source(i).emit('error');
      timers[i]?.run();
    }
    expect(timers.map((timer) => timer.delayMs)).toEqual([1_000, 2_000, 4_000]);
    expect(source(3).url).toBe('/events?last_event_id=41');
    source(3).emit('open');
    source(3).readyState = 2;
    source(3).emit('error');
    expect(timers[3]?.delayMs).toBe(1_000);
  });

  it('once stopped stays stopped, also where a retry was waiting', () => {
    const { feed, timers, cleared, source } = feedOf();
    feed.start();
    source(0).readyState = 2;
    source(0).emit('error');
    feed.stop();
    expect(cleared).toHaveLength(1);
    expect(timers).toHaveLength(1);
    expect(feed.status).toBe('paused');
    expect(FakeSource.made).toHaveLength(1);
  });

  it('forgets the number when another operator may come', () => {
    const { feed, source } = feedOf();
    feed.start();
    source(0).emit('board.changed', EVENT, '41');
    feed.forget();
    feed.start();
    expect(source(1).url).toBe('/events');
    expect(feed.recentEvents(Date.now())).toEqual([]);
  });

  it('keeps recent events for a board that is being read, and no longer', () => {
    const { feed, source } = feedOf();
    feed.start();
    source(0).emit('board.changed', EVENT, '1');
    expect(feed.recentEvents(Date.now())).toHaveLength(1);
    expect(feed.recentEvents(Date.now() + 60_000)).toHaveLength(0);
  });

  it('pauses a tab nobody looks at, and continues when somebody does', () => {
    vi.useFakeTimers();
    const { feed } = feedOf();
    const page = Object.assign(new EventTarget(), { hidden: false });
    const stop = followVisibility(feed, page as unknown as Document);
    feed.start();
    page.hidden = true;
    page.dispatchEvent(new Event('visibilitychange'));
    vi.advanceTimersByTime(59_000);
    expect(feed.status).toBe('connecting');
    vi.advanceTimersByTime(2_000);
    expect(feed.status).toBe('paused');
    page.hidden = false;
    page.dispatchEvent(new Event('visibilitychange'));
    expect(FakeSource.made).toHaveLength(2);
    stop();
    vi.useRealTimers();
  });
});

describe('its parts', () => {
  it('waits between half and all of a ceiling that doubles to half a minute', () => {
    expect([retryDelayMs(0, 0), retryDelayMs(0, 1), retryDelayMs(3, 0), retryDelayMs(50, 1)]).toEqual([500, 1_000, 4_000, 30_000]);
  });
  it('escapes the number it continues after', () => expect(streamUrl('/e', 'a&b=1')).toBe('/e?last_event_id=a%26b%3D1'));
  it.each(['null', '[]', '{}', '"x"', '{"property":"p","as_of":"x","rooms":{}}'])('%s is no event', (text) => expect(readBoardChanged(text)).toBeNull());
});
