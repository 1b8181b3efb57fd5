// Everything a screen may rely on: language, look, the cache of answers, the address.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { App as AntdApp, ConfigProvider } from 'antd';
import enUS from 'antd/locale/en_US';
import zhCN from 'antd/locale/zh_CN';
import { useLayoutEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { RouterProvider } from 'react-router/dom';

import { whenSessionEnds } from '../lib/api/client';
import { isTransient } from '../lib/api/problem';
import { keys } from '../lib/api/queries';
import { nonce } from './nonce';
import { router } from './router';
import { SchemeContext } from './scheme';
import { initialScheme, rememberScheme, themeOf, type Scheme } from './theme';

const client = new QueryClient({
  defaultOptions: {
    queries: { retry: (failures, error) => failures < 2 && isTransient(error), refetchOnWindowFocus: true, staleTime: 5_000 },
    mutations: { retry: false },
  },
});

whenSessionEnds(() => {
  if (client.getQueryData(keys.session)) client.setQueryData(keys.session, null);
});

const csp = nonce === undefined ? undefined : { nonce };

export function App() {
  const { i18n } = useTranslation();
  const [scheme, setScheme] = useState<Scheme>(initialScheme);
  useLayoutEffect(() => {
    document.documentElement.dataset.scheme = scheme;
  }, [scheme]);
  const control = useMemo(
    () => ({
      scheme,
      toggle: () => {
        const next = scheme === 'dark' ? 'light' : 'dark';
        rememberScheme(next);
        setScheme(next);
      },
    }),
    [scheme],
  );
  return (
    <SchemeContext value={control}>
      <ConfigProvider theme={themeOf(scheme)} locale={i18n.language === 'en' ? enUS : zhCN} button={{ autoInsertSpace: false }} {...(csp ? { csp } : {})}>
        <AntdApp>
          <QueryClientProvider client={client}>
            <RouterProvider router={router} />
          </QueryClientProvider>
        </AntdApp>
      </ConfigProvider>
    </SchemeContext>
  );
}
