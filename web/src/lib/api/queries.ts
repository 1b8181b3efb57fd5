// The screens' questions, one hook each. Keys begin with what they show, so that an event or a change can name what to read again.
import { keepPreviousData, useMutation, useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query';

import { catchUp } from '../board';
import type { LiveFeed } from '../live';
import { answer, api, newIdempotencyKey, take } from './client';
import { ProblemError } from './problem';
import type { Board, ReadRequest, Session, Thresholds } from './types';

export const keys = {
  session: ['session'] as const,
  properties: ['properties'] as const,
  overview: (property: string) => ['overview', property] as const,
  board: (property: string) => ['board', property] as const,
  room: (room: string) => ['room', room] as const,
  today: (point: string) => ['point', point, 'today'] as const,
  charges: (point: string, cursor: string) => ['point', point, 'charges', cursor] as const,
  point: (point: string) => ['point', point] as const,
  explanation: (charge: string, language: string) => ['explanation', charge, language] as const,
  readRequest: (id: string) => ['read-request', id] as const,
  thresholds: (account: string) => ['thresholds', account] as const,
};

/** Events make screens live; this makes them right when events do not come. */
const SAFETY_NET_MS = 60_000;

/** Null: nobody is logged in. */
export function useSession() {
  return useQuery({
    queryKey: keys.session,
    queryFn: async ({ signal }): Promise<Session | null> => {
      try {
        return await take(api.GET('/api/v1/session', { signal }));
      } catch (error) {
        if (error instanceof ProblemError && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 5 * 60_000,
  });
}

/** Nothing one operator has read is shown to the next; the session itself stays watched. */
function forgetAnswers(client: QueryClient): void {
  client.removeQueries({ predicate: (query) => query.queryKey[0] !== keys.session[0] });
}

export function useLogIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (credentials: { company: string; login: string; password: string }) =>
      take(api.POST('/api/v1/session', { body: credentials })),
    onSuccess: (session) => {
      forgetAnswers(client);
      client.setQueryData(keys.session, session);
    },
  });
}

export function useLogOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => take(api.DELETE('/api/v1/session')),
    onSuccess: () => {
      forgetAnswers(client);
      client.setQueryData(keys.session, null);
    },
  });
}

export function useProperties() {
  return useQuery({
    queryKey: keys.properties,
    queryFn: ({ signal }) => take(api.GET('/api/v1/properties', { signal, params: { query: { limit: 200 } } })),
    staleTime: 5 * 60_000,
  });
}

export function useOverview(property: string) {
  return useQuery({
    queryKey: keys.overview(property),
    queryFn: ({ signal }) => take(api.GET('/api/v1/overview', { signal, params: { query: { property } } })),
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
}

export function useBoard(property: string, feed: LiveFeed) {
  return useQuery({
    queryKey: keys.board(property),
    queryFn: async ({ signal }): Promise<Board> => {
      const board = await take(api.GET('/api/v1/properties/{id}/board', { signal, params: { path: { id: property } } }));
      return catchUp(board, feed.recentEvents(Date.now())).board;
    },
    refetchInterval: SAFETY_NET_MS,
    structuralSharing: true,
  });
}

export function useRoom(room: string) {
  return useQuery({
    queryKey: keys.room(room),
    queryFn: ({ signal }) => take(api.GET('/api/v1/rooms/{id}', { signal, params: { path: { id: room } } })),
    refetchInterval: SAFETY_NET_MS,
  });
}

export function useToday(point: string) {
  return useQuery({
    queryKey: keys.today(point),
    queryFn: ({ signal }) => take(api.GET('/api/v1/usage-points/{id}/today', { signal, params: { path: { id: point } } })),
    refetchInterval: SAFETY_NET_MS,
  });
}

export function useCharges(point: string, cursor: string, limit: number) {
  return useQuery({
    queryKey: keys.charges(point, cursor),
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/usage-points/{id}/charges', {
          signal,
          params: { path: { id: point }, query: cursor === '' ? { limit } : { limit, cursor } },
        }),
      ),
    refetchInterval: cursor === '' ? SAFETY_NET_MS : false,
    placeholderData: keepPreviousData,
  });
}

/** The sentences come in the language asked for; a charge never changes. */
export function useExplanation(charge: string | null, language: string) {
  return useQuery({
    queryKey: keys.explanation(charge ?? '', language),
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/charges/{id}/explanation', {
          signal,
          params: { path: { id: charge ?? '' }, header: { 'Accept-Language': language } },
        }),
      ),
    enabled: charge !== null,
    staleTime: Infinity,
  });
}

export function useReadNow(point: string) {
  return useMutation({
    mutationFn: () =>
      take(
        api.POST('/api/v1/usage-points/{id}/read-now', {
          params: { path: { id: point }, header: { 'Idempotency-Key': newIdempotencyKey() } },
        }),
      ),
  });
}

export function isReadFinished(request: ReadRequest): boolean {
  return request.finished_at !== null || request.state === 'done' || request.state === 'failed' || request.state === 'unknown';
}

export function useReadRequest(started: ReadRequest | undefined) {
  return useQuery({
    queryKey: keys.readRequest(started?.id ?? ''),
    queryFn: ({ signal }) => take(api.GET('/api/v1/read-requests/{id}', { signal, params: { path: { id: started?.id ?? '' } } })),
    enabled: started !== undefined,
    refetchInterval: (query) => (query.state.data && isReadFinished(query.state.data) ? false : 1_000),
    ...(started ? { initialData: started } : {}),
  });
}

export interface VersionedThresholds {
  thresholds: Thresholds;
  etag: string;
}

export function useThresholds(account: string, isOpen: boolean) {
  return useQuery({
    queryKey: keys.thresholds(account),
    queryFn: async ({ signal }): Promise<VersionedThresholds> => {
      const { data, response } = await answer(api.GET('/api/v1/accounts/{id}/thresholds', { signal, params: { path: { id: account } } }));
      return { thresholds: data, etag: response.headers.get('ETag') ?? '' };
    },
    enabled: isOpen,
    gcTime: 0,
    staleTime: 0,
  });
}

export function useSetThresholds(account: string, room: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ items, etag }: { items: Thresholds['items']; etag: string }) =>
      take(api.PATCH('/api/v1/accounts/{id}/thresholds', { params: { path: { id: account }, header: { 'If-Match': etag } }, body: { items } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.room(room) }),
  });
}

/** After a new reading or charge: everything a room page shows. */
export function rereadRoom(client: QueryClient, room: string): void {
  void client.invalidateQueries({ queryKey: keys.room(room) });
  void client.invalidateQueries({ queryKey: ['point'] });
}
