import { LiveFeed } from './live';

/** The tab's one stream. */
export const feed = new LiveFeed({
  url: '/api/v1/events',
  open: (url) => new EventSource(url),
  setTimer: (run, delayMs) => setTimeout(run, delayMs),
  clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: Math.random,
});
