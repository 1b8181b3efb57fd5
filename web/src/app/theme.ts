// One look for antd and for our own style sheet. Colours that text is written in keep 4.5:1 on their ground in both schemes.
import { theme as antdTheme, type ThemeConfig } from 'antd';

export type Scheme = 'light' | 'dark';

const FONT =
  '"Inter", "Segoe UI", system-ui, -apple-system, "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif';

const SHARED = { fontFamily: FONT, borderRadius: 6, fontSize: 14, controlHeight: 32, wireframe: false };

export function themeOf(scheme: Scheme): ThemeConfig {
  return scheme === 'dark'
    ? {
        algorithm: antdTheme.darkAlgorithm,
        token: {
          ...SHARED,
          colorPrimary: '#3b9ac4',
          colorLink: '#74c0e3',
          colorBgBase: '#10161d',
          colorBgLayout: '#0b1016',
          colorBgContainer: '#151d26',
          colorBgElevated: '#1b2530',
          colorBorder: '#38454f',
          colorBorderSecondary: '#26313c',
          colorTextSecondary: '#a9b6c2',
          colorTextTertiary: '#97a5b2',
          colorTextDescription: '#97a5b2',
          colorTextPlaceholder: '#93a1ae',
        },
        components: { Button: { primaryColor: '#06141c' }, Segmented: { itemColor: '#a9b6c2' } },
      }
    : {
        algorithm: antdTheme.defaultAlgorithm,
        token: {
          ...SHARED,
          colorPrimary: '#0e5f86',
          colorLink: '#0e5f86',
          colorBgLayout: '#eef2f5',
          colorText: '#17222c',
          colorTextSecondary: '#4a5a68',
          colorTextTertiary: '#566573',
          colorTextDescription: '#566573',
          colorTextPlaceholder: '#63727f',
          colorBorder: '#c3ccd4',
          colorBorderSecondary: '#dde3e8',
        },
        components: { Segmented: { itemColor: '#4a5a68' } },
      };
}

const STORE = 'penstock.scheme';

export function initialScheme(): Scheme {
  try {
    const stored = localStorage.getItem(STORE);
    if (stored === 'light' || stored === 'dark') return stored;
  } catch {
    // Falls through to what the system prefers.
  }
  return window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

export function rememberScheme(scheme: Scheme): void {
  try {
    localStorage.setItem(STORE, scheme);
  } catch {
    // The choice lasts as long as the page.
  }
}
