import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router';

import { readBoardFilter, writeBoardFilter, type BoardFilter } from '../../lib/filters';

export interface FilterControl {
  filter: BoardFilter;
  change: (filter: BoardFilter) => void;
}

/** Replaces the entry of the history: going back leaves the board, not the last letter typed. */
export function useBoardFilter(): FilterControl {
  const [query, setQuery] = useSearchParams();
  const filter = useMemo(() => readBoardFilter(query), [query]);
  const change = useCallback(
    (next: BoardFilter) => setQuery((current) => writeBoardFilter(current, next), { replace: true, preventScrollReset: true }),
    [setQuery],
  );
  return { filter, change };
}
