// A state is always colour, shape and word together.
import { useTranslation } from 'react-i18next';

import type { CreditLevel, RoomState } from '../lib/api/types';
import { CONTACT, CREDIT_LEVEL, ROOM_STATE } from '../lib/vocabulary';
import { Icon } from './Icon';

export function RoomStateMark({ state, isPill = false }: { state: RoomState; isPill?: boolean }) {
  const { t } = useTranslation();
  const look = ROOM_STATE[state];
  return <Mark tone={look.tone} icon={look.icon} word={t(`roomState.${state}`)} isPill={isPill} />;
}

export function CreditLevelMark({ level }: { level: CreditLevel }) {
  const { t } = useTranslation();
  const look = CREDIT_LEVEL[level];
  return <Mark tone={look.tone} icon={look.icon} word={t(`roomState.${level}`)} isPill />;
}

export function ContactMark({ isOnline }: { isOnline: boolean }) {
  const { t } = useTranslation();
  const key = isOnline ? 'online' : 'lost';
  return <Mark tone={CONTACT[key].tone} icon={CONTACT[key].icon} word={t(`contact.${key}`)} isPill={false} />;
}

function Mark({ tone, icon, word, isPill }: { tone: string; icon: Parameters<typeof Icon>[0]['name']; word: string; isPill: boolean }) {
  return (
    <span className={`mark tone-${tone}${isPill ? ' mark-pill' : ''}`}>
      <Icon name={icon} size={14} />
      <span>{word}</span>
    </span>
  );
}
