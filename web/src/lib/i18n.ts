// Chinese and English. The language is the operator's last choice on this machine, else the one stored with the operator, else the browser's.
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import en from '../locales/en.json';
import zh from '../locales/zh-CN.json';

export const LANGUAGES = ['zh-CN', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

const STORE = 'penstock.language';

export function isLanguage(text: string | null | undefined): text is Language {
  return text === 'zh-CN' || text === 'en';
}

export function storedLanguage(): Language | null {
  try {
    const stored = localStorage.getItem(STORE);
    return isLanguage(stored) ? stored : null;
  } catch {
    return null;
  }
}

export function browserLanguage(languages: readonly string[]): Language {
  const first = languages.find((l) => /^(zh|en)\b/i.test(l));
  return first && /^en/i.test(first) ? 'en' : 'zh-CN';
}

export async function chooseLanguage(language: Language, isRemembered: boolean): Promise<void> {
  if (isRemembered) {
    try {
      localStorage.setItem(STORE, language);
    } catch {
      // Private windows may refuse; the choice then lasts as long as the page.
    }
  }
  await i18next.changeLanguage(language);
}

export async function startI18n(): Promise<void> {
  i18next.on('languageChanged', (language) => {
    document.documentElement.lang = language;
  });
  await i18next.use(initReactI18next).init({
    resources: { 'zh-CN': { translation: zh }, en: { translation: en } },
    lng: storedLanguage() ?? browserLanguage(navigator.languages),
    fallbackLng: 'en',
    supportedLngs: [...LANGUAGES],
    interpolation: { escapeValue: false },
    returnNull: false,
  });
}
