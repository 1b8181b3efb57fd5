import { createBrowserRouter } from 'react-router';

import { NotFound } from './NotFound';
import { Shell } from './Shell';
import { Crashed } from './Crashed';

/** Screens load when they are first opened; the charts with the room page only. */
export const router = createBrowserRouter([
  { path: '/login', lazy: async () => ({ Component: (await import('../features/session/LoginPage')).LoginPage }), ErrorBoundary: Crashed },
  {
    path: '/',
    Component: Shell,
    ErrorBoundary: Crashed,
    HydrateFallback: () => null,
    children: [
      { index: true, lazy: async () => ({ Component: (await import('../features/properties/PropertiesPage')).PropertiesPage }) },
      { path: 'properties/:property', lazy: async () => ({ Component: (await import('../features/board/BoardPage')).BoardPage }) },
      { path: 'rooms/:room', lazy: async () => ({ Component: (await import('../features/room/RoomPage')).RoomPage }) },
      { path: '*', Component: NotFound },
    ],
  },
]);
