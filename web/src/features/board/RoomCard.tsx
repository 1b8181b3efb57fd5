import { memo, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { RoomStateMark } from '../../components/StateMark';
import { MoneyText, NONE, QuantityText, TimeText } from '../../components/Values';
import type { BoardRoom } from '../../lib/api/types';
import { formatQuantity } from '../../lib/format';
import { ROOM_STATE } from '../../lib/vocabulary';

export const RoomCard = memo(function RoomCard({ room }: { room: BoardRoom }) {
  const { t } = useTranslation();
  return (
    <li className={`room tone-${ROOM_STATE[room.state].tone}`} data-room={room.id} data-state={room.state}>
      <Link className="room-link" to={`/rooms/${encodeURIComponent(room.id)}`}>
        <span className="room-head">
          <span className="room-name">{room.name}</span>
          <RoomStateMark state={room.state} />
        </span>
        <span className="room-customer">{room.customer ?? (room.state === 'not_opened' ? t('board.vacant') : NONE)}</span>
        <span className="room-middle">
          <Balance room={room} />
          {room.usage_today ? <UsedToday usage={room.usage_today} /> : null}
        </span>
        <span className="room-foot"><LastSeen room={room} /></span>
      </Link>
    </li>
  );
});

/** A balance that has just moved is lit for a moment; nothing else on the board moves. */
function Balance({ room }: { room: BoardRoom }) {
  const box = useRef<HTMLSpanElement>(null);
  const shown = useRef(room.balance);
  useEffect(() => {
    if (shown.current === room.balance) return;
    shown.current = room.balance;
    box.current?.animate?.([{ backgroundColor: 'var(--flash)' }, { backgroundColor: 'transparent' }], { duration: 1_800, easing: 'ease-out' });
  }, [room.balance]);
  return (
    <span className="room-balance" ref={box} data-testid="balance">
      {room.balance === null ? <span className="num faint">{NONE}</span> : <MoneyText amount={room.balance} currency={room.currency} />}
    </span>
  );
}

/** Its unit is that of the reading below it. */
function UsedToday({ usage }: { usage: NonNullable<BoardRoom['usage_today']> }) {
  const { t } = useTranslation();
  return (
    <span className="room-today" title={`${t('today.title')}: ${formatQuantity(usage.value, usage.unit)}`}>
      <span className="sr-only">{t('today.title')} </span>+<QuantityText value={usage.value} unit="" />
    </span>
  );
}

function LastSeen({ room }: { room: BoardRoom }) {
  const { t } = useTranslation();
  if (room.lost_since !== null) return <span className="room-since">{t('board.lostSince')} <TimeText at={room.lost_since} /></span>;
  const reading = room.last_reading;
  if (reading === null) return <span>{t('board.neverRead')}</span>;
  return <><QuantityText value={reading.value} unit={reading.unit} /><TimeText at={reading.read_at} /></>;
}
