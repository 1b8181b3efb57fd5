// Today's usage by hour and by period: as a chart, or as the table it is drawn from.
import { Segmented } from 'antd';
import { lazy, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';

import { Answer, Loading, Notice } from '../../components/Notice';
import { Panel } from '../../components/Panel';
import { MoneyText, QuantityText, TimeText } from '../../components/Values';
import { useToday } from '../../lib/api/queries';
import type { UsagePoint, UsageToday } from '../../lib/api/types';
import { clockTime } from '../../lib/time';
import { PeriodBar } from './PeriodBar';

const HourChart = lazy(() => import('./HourChart'));

type View = 'chart' | 'table';

export function TodayPanel({ point }: { point: UsagePoint }) {
  const { t } = useTranslation();
  const query = useToday(point.id);
  const [params, setParams] = useSearchParams();
  const view: View = params.get('today') === 'table' ? 'table' : 'chart';
  const show = (next: View) =>
    setParams(
      (current) => {
        if (next === 'table') current.set('today', 'table');
        else current.delete('today');
        return current;
      },
      { replace: true, preventScrollReset: true },
    );
  return (
    <Panel
      title={t('today.title')}
      className="today-panel"
      extra={
        <Segmented<View>
          size="small"
          value={view}
          aria-label={t('today.view')}
          options={[{ value: 'chart', label: t('today.chart') }, { value: 'table', label: t('today.table') }]}
          onChange={show}
        />
      }
    >
      <Answer query={query} rows={5} isEmpty={(day) => day.complete_until === null} empty={<Notice tone="quiet" icon="meter" title={t('today.empty')} />}>
        {(day) => <Today day={day} view={view} />}
      </Answer>
    </Panel>
  );
}

function Today({ day, view }: { day: UsageToday; view: View }) {
  const { t } = useTranslation();
  return (
    <>
      <dl className="facts facts-inline">
        <div><dt>{t('today.usage')}</dt><dd><QuantityText value={day.quantity} unit={day.unit} /></dd></div>
        <div><dt>{t('today.cost')}</dt><dd><MoneyText amount={day.amount} currency={day.currency} /></dd></div>
        {day.complete_until !== null ? <div><dt>{t('today.until')}</dt><dd><TimeText at={day.complete_until} /></dd></div> : null}
      </dl>
      {view === 'chart' ? (
        <Suspense fallback={<Loading rows={5} />}><HourChart day={day} /></Suspense>
      ) : (
        <HourTable day={day} />
      )}
      <PeriodBar day={day} />
    </>
  );
}

function HourTable({ day }: { day: UsageToday }) {
  const { t } = useTranslation();
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={t('today.byHour')}>
      <table className="table">
        <thead>
          <tr><th scope="col">{t('today.hour')}</th><th scope="col" className="right">{t('today.usage')}</th><th scope="col" className="right">{t('today.cost')}</th></tr>
        </thead>
        <tbody>
          {day.hours.map((hour) => (
            <tr key={hour.from}>
              <th scope="row" className="num">{clockTime(hour.from)}–{clockTime(hour.to)}</th>
              <td className="right"><QuantityText value={hour.quantity} unit={day.unit} /></td>
              <td className="right"><MoneyText amount={hour.amount} currency={day.currency} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
