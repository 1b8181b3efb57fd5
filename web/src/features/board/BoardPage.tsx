// The room board of a property: what needs somebody, at a glance, as it happens.
import { useDeferredValue, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';

import { Answer, Notice } from '../../components/Notice';
import { useBoard } from '../../lib/api/queries';
import type { Board } from '../../lib/api/types';
import { filterBoard } from '../../lib/board';
import { feed } from '../../lib/feed';
import { isFiltering } from '../../lib/filters';
import { BoardBar, ClearFilter } from './BoardBar';
import { BoardGrid } from './BoardGrid';
import { useBoardFilter } from './useBoardFilter';

export function BoardPage() {
  const { property = '' } = useParams();
  const { t } = useTranslation();
  const query = useBoard(property, feed);
  return (
    <Answer
      query={query}
      rows={8}
      isEmpty={(board) => board.buildings.length === 0}
      empty={<Notice tone="quiet" icon="building" title={t('board.empty')} text={t('board.emptyText')} />}
    >
      {(board) => <BoardView board={board} />}
    </Answer>
  );
}

function BoardView({ board }: { board: Board }) {
  const { t } = useTranslation();
  const control = useBoardFilter();
  const filter = useDeferredValue(control.filter);
  const buildings = useMemo(() => filterBoard(board, filter), [board, filter]);
  return (
    <>
      <h1 className="sr-only">{t('board.title', { property: board.property.name })}</h1>
      <BoardBar board={board} control={control} />
      {buildings.length === 0 ? (
        <Notice tone="quiet" icon="search" title={t('board.noMatch')} action={isFiltering(control.filter) ? <ClearFilter control={control} /> : undefined} />
      ) : (
        <BoardGrid buildings={buildings} />
      )}
    </>
  );
}
