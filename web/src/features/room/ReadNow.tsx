// "Read now": asked at once, answered when the gateway's bus is free. The button tells how far it has come.
import { Button } from 'antd';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '../../components/Icon';
import { useProblemText } from '../../components/Notice';
import { QuantityText } from '../../components/Values';
import { isReadFinished, rereadRoom, useReadNow, useReadRequest } from '../../lib/api/queries';
import type { ReadRequest, UsagePoint } from '../../lib/api/types';

export function ReadNow({ point, room }: { point: UsagePoint; room: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const textOf = useProblemText();
  const start = useReadNow(point.id);
  const request = useReadRequest(start.data).data;
  const isRunning = start.isPending || (request !== undefined && !isReadFinished(request));
  const isDone = request?.state === 'done';
  useEffect(() => {
    if (isDone) rereadRoom(client, room);
  }, [client, room, isDone]);
  return (
    <div className="read-now">
      <Button type="primary" icon={<Icon name="reload" />} loading={isRunning} onClick={() => start.mutate()} data-testid="read-now">
        {t('room.readNow')}
      </Button>
      <p className="read-progress" role="status">
        {start.isError ? <span className="tone-danger text-tone">{textOf(start.error)}</span> : null}
        {!start.isError && start.isPending ? t('read.queued') : null}
        {request ? <Progress request={request} /> : null}
      </p>
    </div>
  );
}

function Progress({ request }: { request: ReadRequest }) {
  const { t } = useTranslation();
  if (request.state === 'done' && request.reading) {
    return <>{t('read.done')} <QuantityText value={request.reading.value} unit={request.reading.unit} /></>;
  }
  if (request.state === 'failed') {
    return <span className="tone-danger text-tone">{t(`read.reason.${request.reason ?? 'expired'}`)}</span>;
  }
  return <>{t(`read.${request.state}`)}</>;
}
