import { useTranslation } from 'react-i18next';

import { QuantityText } from '../../components/Values';
import type { UsageToday } from '../../lib/api/types';
import { shareInThousandths } from '../../lib/decimal';
import { usePeriodName } from '../../lib/names';
import { periodColour } from '../../lib/vocabulary';

/** The day's usage split by the tariff's periods; a tariff without periods has nothing to split. */
export function PeriodBar({ day }: { day: UsageToday }) {
  const { t } = useTranslation();
  const nameOf = usePeriodName();
  if (day.periods.length < 2) return null;
  return (
    <div className="periods">
      <h3 className="minor">{t('today.byPeriod')}</h3>
      <div className="period-bar" aria-hidden="true">
        {day.periods.map((p, i) => (
          <span key={p.period} style={{ width: `${shareInThousandths(p.quantity, day.quantity) / 10}%`, background: periodColour(p.period, i) }} />
        ))}
      </div>
      <ul className="period-legend">
        {day.periods.map((p, i) => (
          <li key={p.period}>
            <span className="swatch" style={{ background: periodColour(p.period, i) }} aria-hidden="true" />
            {nameOf(p.period)} <QuantityText value={p.quantity} unit={day.unit} />
          </li>
        ))}
      </ul>
    </div>
  );
}
