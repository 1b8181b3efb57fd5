// Buildings, floors, rooms. Floors outside the window cost nothing (content-visibility), cards that did not change are not drawn again.
import { memo } from 'react';
import { useTranslation } from 'react-i18next';

import type { BoardBuilding, BoardFloor } from '../../lib/api/types';
import { RoomCard } from './RoomCard';

export function BoardGrid({ buildings }: { buildings: BoardBuilding[] }) {
  return buildings.map((building) => <Building key={building.id} building={building} />);
}

const Building = memo(function Building({ building }: { building: BoardBuilding }) {
  const { t } = useTranslation();
  const rooms = building.floors.reduce((sum, floor) => sum + floor.rooms.length, 0);
  return (
    <section className="building" aria-labelledby={`building-${building.id}`}>
      <h2 className="building-name" id={`building-${building.id}`}>
        {building.name} <small>{t('properties.rooms', { count: rooms })}</small>
      </h2>
      {building.floors.map((floor) => <Floor key={floor.id} floor={floor} />)}
    </section>
  );
});

const Floor = memo(function Floor({ floor }: { floor: BoardFloor }) {
  return (
    <div className="floor">
      <h3 className="floor-name">{floor.name}</h3>
      <ul className="rooms">
        {floor.rooms.map((room) => <RoomCard key={room.id} room={room} />)}
      </ul>
    </div>
  );
});
