// Counters that are filters, the search, and what the property took today.
import { Button, Input, Select } from 'antd';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '../../components/Icon';
import { MoneyText, NONE } from '../../components/Values';
import { useOverview } from '../../lib/api/queries';
import type { Board, RoomState } from '../../lib/api/types';
import { countStates } from '../../lib/board';
import { isFiltering, toggleState } from '../../lib/filters';
import { ROOM_STATE, ROOM_STATES } from '../../lib/vocabulary';
import type { FilterControl } from './useBoardFilter';

const ALL = '';

export function BoardBar({ board, control }: { board: Board; control: FilterControl }) {
  const { t } = useTranslation();
  const counts = useMemo(() => countStates(board), [board]);
  return (
    <div className="board-bar">
      <Facts board={board} />
      <div className="state-filters" role="group" aria-label={t('board.filterByState')}>
        {ROOM_STATES.map((state) => <StateFilter key={state} state={state} count={counts[state]} control={control} />)}
      </div>
      <div className="board-find">
        {board.buildings.length > 1 ? <BuildingSelect board={board} control={control} /> : null}
        <Input
          className="board-search"
          type="search"
          allowClear
          maxLength={60}
          prefix={<Icon name="search" />}
          placeholder={t('board.search')}
          aria-label={t('board.search')}
          value={control.filter.text}
          onChange={(event) => control.change({ ...control.filter, text: event.target.value })}
        />
        {isFiltering(control.filter) ? <ClearFilter control={control} /> : null}
      </div>
    </div>
  );
}

function BuildingSelect({ board, control }: { board: Board; control: FilterControl }) {
  const { t } = useTranslation();
  return (
    <Select
      className="building-select"
      aria-label={t('board.building')}
      value={control.filter.building ?? ALL}
      options={[{ value: ALL, label: t('board.allBuildings') }, ...board.buildings.map((b) => ({ value: b.id, label: b.name }))]}
      onChange={(id: string) => control.change({ ...control.filter, building: id === ALL ? null : id })}
      popupMatchSelectWidth={false}
    />
  );
}

function StateFilter({ state, count, control }: { state: RoomState; count: number; control: FilterControl }) {
  const { t } = useTranslation();
  const look = ROOM_STATE[state];
  const isOn = control.filter.states.includes(state);
  return (
    <button
      type="button"
      className={`state-filter tone-${look.tone}${isOn ? ' is-on' : ''}${count === 0 ? ' is-zero' : ''}`}
      aria-pressed={isOn}
      onClick={() => control.change(toggleState(control.filter, state))}
      data-state={state}
    >
      <Icon name={look.icon} size={16} />
      <span className="state-word">{t(`roomState.${state}`)}</span>
      <span className="state-count num">{count}</span>
    </button>
  );
}

export function ClearFilter({ control }: { control: FilterControl }) {
  const { t } = useTranslation();
  return (
    <Button type="link" onClick={() => control.change({ states: [], text: '', building: null })}>{t('board.clearFilter')}</Button>
  );
}

function Facts({ board }: { board: Board }) {
  const { t } = useTranslation();
  const overview = useOverview(board.property.id).data;
  return (
    <dl className="facts">
      <div><dt>{t('board.rooms')}</dt><dd className="num">{overview?.rooms ?? board.property.rooms}</dd></div>
      <div>
        <dt>{t('board.metersOnline')}</dt>
        <dd className="num">{overview ? <>{overview.meters_online}<small> / {overview.meters}</small></> : NONE}</dd>
      </div>
      <div>
        <dt>{t('board.chargedToday')}</dt>
        <dd data-testid="charged-today">
          {overview && overview.charged_today.length > 0
            ? overview.charged_today.map((money) => <MoneyText key={money.currency} amount={money.amount} currency={money.currency} />)
            : NONE}
        </dd>
      </div>
    </dl>
  );
}
