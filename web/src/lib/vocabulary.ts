// One map per vocabulary: each word of the API to its icon and its tone. The word a person reads is in the locales under the same key; the
// colours of a tone are in app/styles.css, light and dark. A shape and a word always stand beside the colour.
import type { CreditLevel, RoomState } from './api/types';

export type IconName = 'check' | 'alert-one' | 'alert-two' | 'stop' | 'circle-dashed' | 'unlinked' | 'linked';
export type Tone = 'calm' | 'notice' | 'warning' | 'danger' | 'quiet' | 'blind';

interface Look {
  icon: IconName;
  tone: Tone;
}

/** In the order of urgency, as the board's counters show them. */
export const ROOM_STATES: readonly RoomState[] = ['arrears', 'alarm_2', 'alarm_1', 'lost_contact', 'normal', 'not_opened'];

export const ROOM_STATE: Record<RoomState, Look> = {
  normal: { icon: 'check', tone: 'calm' },
  alarm_1: { icon: 'alert-one', tone: 'notice' },
  alarm_2: { icon: 'alert-two', tone: 'warning' },
  arrears: { icon: 'stop', tone: 'danger' },
  not_opened: { icon: 'circle-dashed', tone: 'quiet' },
  lost_contact: { icon: 'unlinked', tone: 'blind' },
};

export const CREDIT_LEVEL: Record<CreditLevel, Look> = {
  normal: ROOM_STATE.normal,
  alarm_1: ROOM_STATE.alarm_1,
  alarm_2: ROOM_STATE.alarm_2,
  arrears: ROOM_STATE.arrears,
};

export const CONTACT: Record<'online' | 'lost', Look> = {
  online: { icon: 'linked', tone: 'calm' },
  lost: { icon: 'unlinked', tone: 'blind' },
};

/** Periods with a colour of their own, in the order of price; a tariff may name others. */
export const PERIOD_TONES: Record<string, string> = {
  critical_peak: 'var(--period-critical)',
  peak: 'var(--period-peak)',
  flat: 'var(--period-flat)',
  valley: 'var(--period-valley)',
  deep_valley: 'var(--period-deep)',
};

const OTHER_PERIODS = ['var(--period-a)', 'var(--period-b)', 'var(--period-c)', 'var(--period-d)'];

export function periodColour(period: string, index: number): string {
  return PERIOD_TONES[period] ?? OTHER_PERIODS[index % OTHER_PERIODS.length] ?? 'var(--period-a)';
}
