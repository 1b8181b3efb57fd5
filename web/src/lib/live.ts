// One stream of server-sent events for the tab. The browser reconnects by itself while it can; where it gave up (an error status), we open
// a new stream after the last event number, later each time. A hidden tab closes its stream after a while: a browser allows about six
// connections to one HTTP/1.1 host, and six forgotten tabs would leave none for requests.
import type { BoardChanged } from './api/types';

export type LiveStatus = 'connecting' | 'live' | 'waiting' | 'paused';

export interface LiveListener {
  onBoardChanged(event: BoardChanged): void;
  /** Events were missed: read everything again. */
  onReset(): void;
}

interface Source {
  readyState: number;
  close(): void;
  addEventListener(type: string, listener: (event: MessageEvent) => void): void;
}

export interface LiveOptions {
  url: string;
  open: (url: string) => Source;
  setTimer: (run: () => void, delayMs: number) => unknown;
  clearTimer: (timer: unknown) => void;
  random: () => number;
}

const CLOSED = 2;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** Events younger than this are kept for a board that is being read while they arrive. */
const RECENT_MS = 15_000;
const RECENT_MAX = 200;

/** Half to all of min · 2^n, never over the maximum. */
export function retryDelayMs(attempt: number, random: number): number {
  const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

export function streamUrl(base: string, lastEventId: string): string {
  return lastEventId === '' ? base : `${base}?last_event_id=${encodeURIComponent(lastEventId)}`;
}

/** Null for what is not an event of the contract: it is dropped, the next full reading repairs it. */
export function readBoardChanged(data: string): BoardChanged | null {
  try {
    const value = JSON.parse(data) as Partial<BoardChanged>;
    return typeof value.property === 'string' && typeof value.as_of === 'string' && Array.isArray(value.rooms)
      ? (value as BoardChanged)
      : null;
  } catch {
    return null;
  }
}

export class LiveFeed {
  private readonly options: LiveOptions;
  private readonly listeners = new Set<LiveListener>();
  private readonly statusListeners = new Set<() => void>();
  private recent: { at: number; event: BoardChanged }[] = [];
  private source: Source | null = null;
  private timer: unknown = null;
  private attempt = 0;
  private lastEventId = '';
  private current: LiveStatus = 'paused';

  constructor(options: LiveOptions) {
    this.options = options;
  }

  get status(): LiveStatus {
    return this.current;
  }

  listen(listener: LiveListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  whenStatusChanges(listener: () => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }

  recentEvents(nowMs: number): BoardChanged[] {
    return this.recent.filter((entry) => nowMs - entry.at < RECENT_MS).map((entry) => entry.event);
  }

  start(): void {
    if (this.source !== null || this.timer !== null) return;
    this.connect();
  }

  /** Keeps the last event number: start() continues after it. */
  stop(): void {
    this.disconnect();
    this.setStatus('paused');
  }

  /** Another operator may log in: nothing of this one's feed is continued. */
  forget(): void {
    this.stop();
    this.lastEventId = '';
    this.recent = [];
  }

  private connect(): void {
    this.setStatus(this.attempt === 0 ? 'connecting' : 'waiting');
    const source = this.options.open(streamUrl(this.options.url, this.lastEventId));
    this.source = source;
    source.addEventListener('open', () => {
      this.attempt = 0;
      this.setStatus('live');
    });
    source.addEventListener('error', () => this.failed(source));
    source.addEventListener('board.changed', (event) => this.boardChanged(event));
    source.addEventListener('reset', (event) => {
      this.lastEventId = event.lastEventId;
      this.recent = [];
      this.listeners.forEach((listener) => listener.onReset());
    });
  }

  private boardChanged(message: MessageEvent): void {
    if (message.lastEventId !== '') this.lastEventId = message.lastEventId;
    const event = readBoardChanged(String(message.data));
    if (event === null) return;
    const now = Date.now();
    this.recent = this.recent.filter((entry) => now - entry.at < RECENT_MS).slice(-RECENT_MAX + 1);
    this.recent.push({ at: now, event });
    this.listeners.forEach((listener) => listener.onBoardChanged(event));
  }

  private failed(source: Source): void {
    if (this.source !== source) return;
    this.setStatus('waiting');
    if (source.readyState !== CLOSED) return;
    this.disconnect();
    const delay = retryDelayMs(this.attempt, this.options.random());
    this.attempt += 1;
    this.timer = this.options.setTimer(() => {
      this.timer = null;
      this.connect();
    }, delay);
  }

  private disconnect(): void {
    this.source?.close();
    this.source = null;
    if (this.timer !== null) this.options.clearTimer(this.timer);
    this.timer = null;
  }

  private setStatus(status: LiveStatus): void {
    if (status === this.current) return;
    this.current = status;
    this.statusListeners.forEach((listener) => listener());
  }
}

const HIDDEN_GRACE_MS = 60_000;

/** Closes the stream of a tab nobody has looked at for a minute, and opens it when somebody looks again. */
export function followVisibility(feed: LiveFeed, page: Document): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const changed = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (page.hidden) timer = setTimeout(() => feed.stop(), HIDDEN_GRACE_MS);
    else feed.start();
  };
  page.addEventListener('visibilitychange', changed);
  return () => {
    if (timer !== null) clearTimeout(timer);
    page.removeEventListener('visibilitychange', changed);
  };
}
