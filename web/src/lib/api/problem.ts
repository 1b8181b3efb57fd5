// What the server said when it said no.
import type { components } from './schema';

export type Problem = components['schemas']['Problem'];

export class ProblemError extends Error {
  readonly status: number;
  /** Stable, from the server's table: the last part of the problem's type. "network" where no answer came. */
  readonly code: string;
  readonly requestId: string | undefined;
  readonly errors: NonNullable<Problem['errors']>;
  readonly parameters: Record<string, string>;

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.name = 'ProblemError';
    this.status = status;
    this.code = codeOf(problem.type, status);
    this.requestId = problem.instance;
    this.errors = problem.errors ?? [];
    this.parameters = problem.parameters ?? {};
  }
}

function codeOf(type: string | undefined, status: number): string {
  if (status === 0) return 'network';
  const last = type?.split(/[/:]/).pop();
  return last && type !== 'about:blank' ? last : `http-${status}`;
}

export type ProblemClass = 'network' | 'session' | 'permission' | 'missing' | 'later' | 'input' | 'stale' | 'other';

/** How a screen answers; the wording comes from the code where it is known, else from this class. */
export function classOf(error: unknown): ProblemClass {
  if (!(error instanceof ProblemError)) return 'other';
  switch (error.status) {
    case 0: return 'network';
    case 401: return 'session';
    case 403: return 'permission';
    case 404: return 'missing';
    case 409: case 412: case 428: return 'stale';
    case 400: case 422: return 'input';
    case 429: case 503: case 504: return 'later';
    default: return 'other';
  }
}

/** Worth asking again by itself: nobody decided anything. */
export function isTransient(error: unknown): boolean {
  const kind = classOf(error);
  return kind === 'network' || kind === 'later';
}
