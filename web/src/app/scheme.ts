import { createContext, use } from 'react';

import type { Scheme } from './theme';

export interface SchemeControl {
  scheme: Scheme;
  toggle: () => void;
}

export const SchemeContext = createContext<SchemeControl>({ scheme: 'light', toggle: () => undefined });

export function useScheme(): SchemeControl {
  return use(SchemeContext);
}
