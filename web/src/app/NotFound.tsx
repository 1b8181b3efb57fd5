import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { Notice } from '../components/Notice';

export function NotFound() {
  const { t } = useTranslation();
  return <Notice tone="quiet" title={t('state.missing')} action={<Link to="/">{t('nav.properties')}</Link>} />;
}
