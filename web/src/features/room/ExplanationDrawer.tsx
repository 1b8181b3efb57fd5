// Why a charge is what it is: in sentences, and as the arithmetic behind them.
import { useTranslation } from 'react-i18next';

import { Answer } from '../../components/Notice';
import { SideDrawer } from '../../components/SideDrawer';
import { MoneyText, NONE, QuantityText, TimeText } from '../../components/Values';
import { useExplanation } from '../../lib/api/queries';
import type { Explanation, ExplanationLine } from '../../lib/api/types';
import { formatPrice, formatRate, unitText } from '../../lib/format';
import { useLineName, usePeriodName } from '../../lib/names';
import { dateOf } from '../../lib/time';

export function ExplanationDrawer({ charge, onClose }: { charge: string | null; onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const query = useExplanation(charge, i18n.language);
  return (
    <SideDrawer title={t('explain.title')} isOpen={charge !== null} onClose={onClose}>
      <Answer query={query} rows={8}>{(explanation) => <Body explanation={explanation} />}</Answer>
    </SideDrawer>
  );
}

function Body({ explanation }: { explanation: Explanation }) {
  const { t } = useTranslation();
  const { charge, tariff, window, readings } = explanation;
  return (
    <div className="explanation" data-testid="explanation">
      <p className="explain-amount">
        <MoneyText amount={charge.amount} currency={charge.currency} />
        <span className="soft"><QuantityText value={charge.quantity} unit={charge.unit} /> · {t(`cause.${charge.cause}`)}</span>
      </p>
      <ol className="sentences">
        {explanation.sentences.map((sentence, i) => <li key={i}>{sentence}</li>)}
      </ol>
      <h3 className="minor">{t('explain.basis')}</h3>
      <dl className="pairs">
        {readings ? (
          <>
            <div><dt>{t('explain.from')}</dt><dd><QuantityText value={readings.from.value} unit={readings.from.unit} /> · <TimeText at={readings.from.read_at} /></dd></div>
            <div><dt>{t('explain.to')}</dt><dd><QuantityText value={readings.to.value} unit={readings.to.unit} /> · <TimeText at={readings.to.read_at} /></dd></div>
          </>
        ) : null}
        <div><dt>{t('meter.tariff')}</dt><dd>{tariff.code} <span className="soft">{t('meter.version', { version: tariff.version, from: dateOf(tariff.effective_from) })}</span></dd></div>
        <div><dt>{t('explain.window')}</dt><dd>{t(`window.${window.over}`)} <span className="soft">{t('explain.since', { from: dateOf(window.from) })}</span></dd></div>
        <div><dt>{t('explain.booked')}</dt><dd><TimeText at={charge.booked_at} /></dd></div>
      </dl>
      <h3 className="minor">{t('explain.arithmetic')}</h3>
      <Arithmetic explanation={explanation} />
      <Sums explanation={explanation} />
    </div>
  );
}

function Arithmetic({ explanation }: { explanation: Explanation }) {
  const { t } = useTranslation();
  const { charge } = explanation;
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={t('explain.arithmetic')}>
      <table className="table arithmetic">
        <thead>
          <tr>
            <th scope="col">{t('explain.line')}</th>
            <th scope="col" className="right">{t('explain.before')}</th>
            <th scope="col" className="right">{t('explain.after')}</th>
            <th scope="col" className="right">{t('explain.price')}</th>
            <th scope="col" className="right">{t('explain.amountAfter')}</th>
            <th scope="col" className="right">{t('explain.difference')}</th>
          </tr>
        </thead>
        <tbody>
          {explanation.lines.map((line, i) => <Line key={i} line={line} charge={charge} />)}
        </tbody>
      </table>
    </div>
  );
}

/** From the price of the window to this charge, one step a line. */
function Sums({ explanation }: { explanation: Explanation }) {
  const { t } = useTranslation();
  const { charge, rounding } = explanation;
  return (
    <dl className="sums">
      <Sum label={t('explain.unrounded')} amount={explanation.unrounded_total} currency={charge.currency} />
      <Sum label={t('explain.rounded', { mode: t(`rounding.${rounding.mode}`), scale: rounding.scale })} amount={explanation.total} currency={charge.currency} />
      <Sum label={t('explain.already')} amount={explanation.already_charged} currency={charge.currency} sign="−" />
      <Sum label={t('explain.result')} amount={charge.amount} currency={charge.currency} sign="=" isResult />
    </dl>
  );
}

function Line({ line, charge }: { line: ExplanationLine; charge: Explanation['charge'] }) {
  const { t } = useTranslation();
  const lineName = useLineName();
  const periodName = usePeriodName();
  const parts = [lineName(line.name), line.period === null ? '' : periodName(line.period), line.tier === null ? '' : t('explain.tier', { tier: line.tier })];
  return (
    <tr>
      <th scope="row">{parts.filter((part) => part !== '').join(' · ')}</th>
      <td className="right"><Amount line={line} value={line.quantity_before} unit={charge.unit} /></td>
      <td className="right"><Amount line={line} value={line.quantity_after} unit={charge.unit} /></td>
      <td className="right num">{priceText(line, charge)}</td>
      <td className="right"><MoneyText amount={line.amount_after} currency={charge.currency} /></td>
      <td className="right"><MoneyText amount={line.amount} currency={charge.currency} /></td>
    </tr>
  );
}

/** Fixed lines count windows, not units of energy. */
function Amount({ line, value, unit }: { line: ExplanationLine; value: string | null; unit: string }) {
  if (value === null) return <>{NONE}</>;
  return <QuantityText value={value} unit={line.kind === 'quantity' ? unit : ''} />;
}

function priceText(line: ExplanationLine, charge: Explanation['charge']): string {
  if (line.price === null) return NONE;
  if (line.kind === 'percent') return formatRate(line.price);
  const price = formatPrice(line.price, charge.currency);
  return line.kind === 'quantity' ? `${price}/${unitText(charge.unit)}` : price;
}

function Sum({ label, amount, currency, sign = '', isResult = false }: { label: string; amount: string; currency: string; sign?: string; isResult?: boolean }) {
  return (
    <div className={isResult ? 'result' : ''}>
      <dt>{label}</dt>
      <dd className="num">{sign} <MoneyText amount={amount} currency={currency} /></dd>
    </div>
  );
}
