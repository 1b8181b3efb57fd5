// Words that come from outside and may be unknown to us: shown translated where we know them, else as they are.
import { useTranslation } from 'react-i18next';

function useNames(group: string): (word: string) => string {
  const { t, i18n } = useTranslation();
  return (word) => (i18n.exists(`${group}.${word}`) ? t(`${group}.${word}`) : word);
}

export const usePeriodName = () => useNames('period');
export const useValueName = () => useNames('value');
export const useLineName = () => useNames('line');
export const useRelayWord = () => useNames('relay');
