import { memo, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { RoomStateMark } from '../../components/StateMark';
import { MoneyText, NONE, QuantityText, TimeText } from '../../components/Values';
import type { BoardRoom } from '../../lib/api/types';
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
        <Balance room={room} />
        <span className="room-foot">
          <span>{room.usage_today ? <QuantityText value={room.usage_today.value} unit={room.usage_today.unit} /> : NONE}</span>
          <span className="room-read"><LastSeen room={room} /></span>
        </span>
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

function LastSeen({ room }: { room: BoardRoom }) {
  const { t } = useTranslation();
  if (room.lost_since !== null) return <>{t('board.lostSince')} <TimeText at={room.lost_since} /></>;
  return room.last_reading ? <TimeText at={room.last_reading.read_at} /> : <>{t('board.neverRead')}</>;
}
