import { useSession } from './queries';
import type { Permission } from './types';

/** Hides what the server would refuse; the server refuses all the same. */
export function usePermission(permission: Permission): boolean {
  return useSession().data?.permissions.includes(permission) ?? false;
}
