/** Where to go after the log-in: a path of this dashboard, or its first screen. An address of another site is never followed. */
export function safeReturnPath(back: string | null): string {
  if (back === null || !/^\/(?![/\\])/.test(back) || back.startsWith('/login')) return '/';
  return back;
}
