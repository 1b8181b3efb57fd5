// One room: what it uses, what it has left, how it is measured, what it was charged and why.
import { Segmented } from 'antd';
import { useTranslation } from 'react-i18next';
import { Link, useParams, useSearchParams } from 'react-router';

import { Answer, Notice } from '../../components/Notice';
import { RoomStateMark } from '../../components/StateMark';
import { TimeText } from '../../components/Values';
import { usePermission } from '../../lib/api/permission';
import { useRoom } from '../../lib/api/queries';
import type { Room, UsagePoint } from '../../lib/api/types';
import { ChargesPanel } from './ChargesPanel';
import { MetersPanel } from './MetersPanel';
import { PursesPanel } from './PursesPanel';
import { ReadNow } from './ReadNow';
import { TodayPanel } from './TodayPanel';

export function RoomPage() {
  const { room = '' } = useParams();
  const query = useRoom(room);
  return <Answer query={query} rows={8}>{(data) => <RoomView room={data} />}</Answer>;
}

function RoomView({ room }: { room: Room }) {
  const { t } = useTranslation();
  const [query, setQuery] = useSearchParams();
  const point = room.usage_points.find((p) => p.id === query.get('point')) ?? room.usage_points[0];
  return (
    <div className="room-page">
      <Head room={room} point={point} />
      {room.usage_points.length > 1 && point ? (
        <Segmented
          className="point-switch"
          aria-label={t('room.usagePoint')}
          value={point.id}
          options={room.usage_points.map((p) => ({ value: p.id, label: `${p.name} · ${t(`utility.${p.utility}`)}` }))}
          onChange={(id) => setQuery({ point: id })}
        />
      ) : null}
      {point ? (
        <div className="room-columns">
          <div className="room-main">
            <TodayPanel point={point} />
            <ChargesPanel point={point} />
          </div>
          <div className="room-side">
            <PursesPanel room={room} />
            <MetersPanel point={point} />
          </div>
        </div>
      ) : (
        <Notice tone="quiet" icon="meter" title={t('room.noPoint')} text={t('room.noPointText')} />
      )}
    </div>
  );
}

function Head({ room, point }: { room: Room; point: UsagePoint | undefined }) {
  const { t } = useTranslation();
  const mayRead = usePermission('meter.read_now');
  const { property, building, floor } = room.place;
  return (
    <header className="room-header">
      <div>
        <nav className="crumbs" aria-label={t('nav.place')}>
          <Link to={`/properties/${encodeURIComponent(property.id)}`}>{property.name}</Link>
          <span aria-hidden="true">/</span>
          <Link to={`/properties/${encodeURIComponent(property.id)}?building=${encodeURIComponent(building.id)}`}>{building.name}</Link>
          <span aria-hidden="true">/</span>
          <span>{floor.name}</span>
        </nav>
        <h1>
          {room.name} <RoomStateMark state={room.state} isPill />
        </h1>
        <p className="room-sub">
          <span>{room.customer?.short_name ?? t('board.vacant')}</span>
          {room.account ? <span>{t('room.account')} <span className="num">{room.account.number}</span></span> : null}
          {room.lost_since !== null ? <span>{t('board.lostSince')} <TimeText at={room.lost_since} /></span> : null}
        </p>
      </div>
      {point && mayRead ? <ReadNow key={point.id} point={point} room={room.id} /> : null}
    </header>
  );
}
