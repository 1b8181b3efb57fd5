// A screen that threw, or whose code could not be loaded (a release replaced it): say so and offer to load anew.
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';

import { Notice } from '../components/Notice';

export function Crashed() {
  const { t } = useTranslation();
  return (
    <main className="lone">
      <Notice
        tone="danger"
        title={t('state.crashed')}
        text={t('state.crashedText')}
        action={<Button onClick={() => window.location.reload()}>{t('action.reload')}</Button>}
      />
    </main>
  );
}
