// Ties the stream of events to what the screens have read.
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';

import { keys, rereadRoom } from '../lib/api/queries';
import type { Board, BoardChanged } from '../lib/api/types';
import { applyBoardChanged } from '../lib/board';
import { feed } from '../lib/feed';
import { followVisibility, type LiveStatus } from '../lib/live';

/** While somebody is logged in. */
export function useLiveFeed(isLoggedIn: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    if (!isLoggedIn) {
      feed.forget();
      return undefined;
    }
    const boardChanged = (event: BoardChanged) => {
      const board = client.getQueryData<Board>(keys.board(event.property));
      if (board) {
        const applied = applyBoardChanged(board, event);
        client.setQueryData(keys.board(event.property), applied.board);
        if (applied.hasUnknown) void client.invalidateQueries({ queryKey: keys.board(event.property) });
      }
      for (const room of event.rooms) if (client.getQueryData(keys.room(room.id))) rereadRoom(client, room.id);
    };
    const stopListening = feed.listen({ onBoardChanged: boardChanged, onReset: () => void client.invalidateQueries({ refetchType: 'active' }) });
    const stopFollowing = followVisibility(feed, document);
    feed.start();
    return () => {
      stopFollowing();
      stopListening();
      feed.stop();
    };
  }, [client, isLoggedIn]);
}

export function useLiveStatus(): LiveStatus {
  return useSyncExternalStore(
    (changed) => feed.whenStatusChanges(changed),
    () => feed.status,
  );
}
