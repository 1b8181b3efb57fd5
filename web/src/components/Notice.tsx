// What a list or a screen says when it has nothing to show: still loading, empty, wrong, not allowed.
import { Button, Skeleton } from 'antd';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { classOf, ProblemError } from '../lib/api/problem';
import type { Tone } from '../lib/vocabulary';
import { Icon, type IconName } from './Icon';

interface NoticeProps {
  tone: Tone;
  title: string;
  text?: string | undefined;
  icon?: IconName;
  action?: ReactNode;
}

export function Notice({ tone, title, text, icon = 'empty', action }: NoticeProps) {
  return (
    <div className={`notice tone-${tone}`} role={tone === 'danger' ? 'alert' : 'status'}>
      <span className="notice-icon"><Icon name={icon} size={28} /></span>
      <p className="notice-title">{title}</p>
      {text ? <p className="notice-text">{text}</p> : null}
      {action}
    </div>
  );
}

export function Loading({ rows = 3 }: { rows?: number }) {
  const { t } = useTranslation();
  return (
    <div className="loading" role="status" aria-label={t('state.loading')}>
      <Skeleton active title={false} paragraph={{ rows }} />
    </div>
  );
}

/** The problem in the reader's language: by its code where we know it, else by its kind. */
export function useProblemText(): (error: unknown) => string {
  const { t, i18n } = useTranslation();
  return (error) => {
    const code = error instanceof ProblemError ? error.code : '';
    return code !== '' && i18n.exists(`problem.code.${code}`) ? t(`problem.code.${code}`) : t(`problem.kind.${classOf(error)}`);
  };
}

export function Problem({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { t } = useTranslation();
  const textOf = useProblemText();
  const kind = classOf(error);
  if (kind === 'permission') return <Notice tone="quiet" icon="lock" title={t('state.noPermission')} text={t('state.noPermissionText')} />;
  if (kind === 'missing') return <Notice tone="quiet" title={t('state.missing')} text={t('state.missingText')} />;
  const requestId = error instanceof ProblemError ? error.requestId : undefined;
  return (
    <Notice
      tone="danger"
      icon="stop"
      title={textOf(error)}
      text={requestId ? t('state.requestId', { id: requestId }) : undefined}
      action={onRetry ? <Button onClick={onRetry} icon={<Icon name="reload" />}>{t('action.retry')}</Button> : undefined}
    />
  );
}

interface AnswerProps<T> {
  query: UseQueryResult<T>;
  isEmpty?: (data: T) => boolean;
  empty?: ReactNode;
  rows?: number;
  children: (data: T) => ReactNode;
}

/** The one way a query becomes a screen. What was shown stays while it is read again; a failure then is a line above it. */
export function Answer<T>({ query, isEmpty, empty, rows = 3, children }: AnswerProps<T>) {
  const textOf = useProblemText();
  if (query.data === undefined) {
    return query.isError ? <Problem error={query.error} onRetry={() => void query.refetch()} /> : <Loading rows={rows} />;
  }
  return (
    <>
      {query.isError ? <p className="stale-line" role="alert"><Icon name="unlinked" /> {textOf(query.error)}</p> : null}
      {isEmpty?.(query.data) ? empty : children(query.data)}
    </>
  );
}
