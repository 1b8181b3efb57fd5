// Line icons drawn for this dashboard: each state has its own outline, so that it is told apart without its colour.
import type { ReactNode } from 'react';

import type { IconName as StateIcon } from '../lib/vocabulary';

export type IconName =
  | StateIcon | 'brand' | 'back' | 'sun' | 'moon' | 'person' | 'leave' | 'search' | 'reload' | 'edit' | 'building' | 'meter' | 'gateway'
  | 'empty' | 'lock' | 'right' | 'close';

const TRIANGLE = 'M12 3.5 22 20.5H2z';

const SHAPES: Record<IconName, ReactNode> = {
  check: <><circle cx="12" cy="12" r="9" /><path d="m8 12.2 2.8 2.8L16 9.6" /></>,
  'alert-one': <><path d={TRIANGLE} /><path d="M12 10.2v6.6M10.6 11.4l1.4-1.2" /></>,
  'alert-two': <><path d={TRIANGLE} fill="currentColor" /><path d="M10.2 11.6c.3-1.9 3.6-1.8 3.6.2 0 1.7-3.6 3-3.6 5.2h3.8" stroke="var(--icon-ground, #fff)" strokeWidth="1.7" /></>,
  stop: <><path d="M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3z" fill="currentColor" /><path d="M8 12h8" stroke="var(--icon-ground, #fff)" strokeWidth="2.4" /></>,
  'circle-dashed': <circle cx="12" cy="12" r="9" strokeDasharray="3.4 3.67" />,
  unlinked: <><path d="M9 7H7a5 5 0 0 0 0 10h2M15 7h2a5 5 0 0 1 4 8" /><path d="m4 3 16 18" /></>,
  linked: <path d="M9 7H7a5 5 0 0 0 0 10h2M15 7h2a5 5 0 0 1 0 10h-2M8.5 12h7" />,
  brand: <><path d="M3 5h5v7l8-5v5l5-3v11H3z" fill="currentColor" stroke="none" /><path d="M8 12v8" stroke="var(--topbar)" strokeWidth="1.6" /></>,
  back: <path d="m14.5 5-7 7 7 7" />,
  right: <path d="m9.5 5 7 7-7 7" />,
  close: <path d="m6 6 12 12M18 6 6 18" />,
  sun: <><circle cx="12" cy="12" r="4.2" /><path d="M12 2.5v2.2M12 19.3v2.2M2.5 12h2.2M19.3 12h2.2M5.3 5.3l1.5 1.5M17.2 17.2l1.5 1.5M18.7 5.3l-1.5 1.5M6.8 17.2l-1.5 1.5" /></>,
  moon: <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z" />,
  person: <><circle cx="12" cy="8" r="4" /><path d="M4 20.5c1-4 4-6 8-6s7 2 8 6" /></>,
  leave: <><path d="M14 4H6v16h8" /><path d="M10.5 12H21M17.5 8.2 21.2 12l-3.7 3.8" /></>,
  search: <><circle cx="10.5" cy="10.5" r="6.5" /><path d="m15.5 15.5 5 5" /></>,
  reload: <><path d="M19.5 8A8.5 8.5 0 1 0 20.5 13" /><path d="M20 3.5V8h-4.5" /></>,
  edit: <path d="M4 20h4L19.5 8.5l-4-4L4 16zM13 7l4 4" />,
  building: <path d="M4 21V4h10v17M14 9h6v12M2.5 21h19M7.5 8h3M7.5 12h3M7.5 16h3M17 13v0M17 17v0" />,
  meter: <><rect x="4" y="3" width="16" height="18" rx="2" /><path d="M7.5 7h9v4h-9zM12 14.5v3M9 17.5h6" /></>,
  gateway: <><rect x="3" y="13" width="18" height="7" rx="1.5" /><path d="M7 16.5v0M11 16.5h6M8 9.5a6 6 0 0 1 8 0M5.5 6.5a10 10 0 0 1 13 0" /></>,
  empty: <><path d="M3 13 6 5h12l3 8v6H3z" /><path d="M3 13h5.5l1.2 2.5h4.6L15.5 13H21" /></>,
  lock: <><rect x="5" y="11" width="14" height="10" rx="2" /><path d="M8 11V7.5a4 4 0 0 1 8 0V11" /></>,
};

/** Decoration: the word beside it says what it means. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.9" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false">
      {SHAPES[name]}
    </svg>
  );
}
