// The one door to the server. Every call either gives the data of the contract or throws a ProblemError.
import createClient from 'openapi-fetch';

import { ProblemError, type Problem } from './problem';
import type { paths } from './schema';

export const api = createClient<paths>({ baseUrl: '/', credentials: 'same-origin', cache: 'no-store' });

type Answer<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

const onUnauthentic = new Set<() => void>();

/** Called when a request found the session gone. */
export function whenSessionEnds(listener: () => void): () => void {
  onUnauthentic.add(listener);
  return () => onUnauthentic.delete(listener);
}

function problemOf(body: unknown): Partial<Problem> {
  return body !== null && typeof body === 'object' ? (body as Partial<Problem>) : {};
}

export async function answer<T>(call: Answer<T>): Promise<{ data: T; response: Response }> {
  let result: Awaited<Answer<T>>;
  try {
    result = await call;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw new ProblemError(0, { title: 'no answer from the server' });
  }
  if (!result.response.ok) {
    if (result.response.status === 401) onUnauthentic.forEach((listener) => listener());
    throw new ProblemError(result.response.status, problemOf(result.error));
  }
  return { data: result.data as T, response: result.response };
}

export async function take<T>(call: Answer<T>): Promise<T> {
  return (await answer(call)).data;
}

/** Chosen once per intended effect; the same key makes a repeated request harmless. Works where crypto.randomUUID is missing (plain HTTP). */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
