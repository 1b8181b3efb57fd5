// Charges of a usage point, newest first. The page and the opened charge live in the address: a link to a charge is a link to its proof.
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';

import { Answer, Notice } from '../../components/Notice';
import { Panel } from '../../components/Panel';
import { MoneyText, QuantityText, TimeText } from '../../components/Values';
import { useCharges } from '../../lib/api/queries';
import type { Charge, UsagePoint } from '../../lib/api/types';
import { spanText } from '../../lib/time';
import { ExplanationDrawer } from './ExplanationDrawer';

const PAGE = 12;

export function ChargesPanel({ point }: { point: UsagePoint }) {
  const { t } = useTranslation();
  const [query, setQuery] = useSearchParams();
  const cursor = query.get('after') ?? '';
  const charges = useCharges(point.id, cursor, PAGE);
  const go = (key: 'after' | 'charge', value: string | null) =>
    setQuery((current) => withParameter(current, key, value), { preventScrollReset: true });
  return (
    <Panel title={t('charge.title')} className="charges">
      <Answer query={charges} rows={6} isEmpty={(page) => page.items.length === 0 && cursor === ''} empty={<Notice tone="quiet" title={t('charge.empty')} text={t('charge.emptyText')} />}>
        {(page) => (
          <>
            <ChargeTable charges={page.items} onOpen={(id) => go('charge', id)} />
            <div className="pager">
              <Button size="small" disabled={cursor === ''} onClick={() => go('after', null)}>{t('charge.newest')}</Button>
              <Button size="small" disabled={page.next_cursor === null} onClick={() => go('after', page.next_cursor)} data-testid="older">{t('charge.older')}</Button>
            </div>
          </>
        )}
      </Answer>
      <ExplanationDrawer charge={query.get('charge')} onClose={() => go('charge', null)} />
    </Panel>
  );
}

function withParameter(query: URLSearchParams, key: string, value: string | null): URLSearchParams {
  const next = new URLSearchParams(query);
  if (value === null) next.delete(key);
  else next.set(key, value);
  return next;
}

function ChargeTable({ charges, onOpen }: { charges: Charge[]; onOpen: (id: string) => void }) {
  const { t } = useTranslation();
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={t('charge.title')}>
      <table className="table table-hover">
        <thead>
          <tr>
            <th scope="col">{t('charge.span')}</th>
            <th scope="col" className="wide-only">{t('charge.cause')}</th>
            <th scope="col" className="right">{t('today.usage')}</th>
            <th scope="col" className="right">{t('charge.amount')}</th>
            <th scope="col" className="wide-only right">{t('charge.booked')}</th>
            <th scope="col"><span className="sr-only">{t('charge.why')}</span></th>
          </tr>
        </thead>
        <tbody>
          {charges.map((charge) => (
            <tr key={charge.id} data-charge={charge.id} onClick={() => onOpen(charge.id)}>
              <td className="num">
                {spanText(charge.from, charge.to)}
                {charge.cause === 'reading' ? null : <small className="phone-only">{t(`cause.${charge.cause}`)}</small>}
                {charge.estimated ? <small className="phone-only">{t('charge.estimated')}</small> : null}
              </td>
              <td className="wide-only">{t(`cause.${charge.cause}`)}{charge.estimated ? <small className="soft"> · {t('charge.estimated')}</small> : null}</td>
              <td className="right"><QuantityText value={charge.quantity} unit={charge.unit} /></td>
              <td className="right"><MoneyText amount={charge.amount} currency={charge.currency} /></td>
              <td className="wide-only right"><TimeText at={charge.booked_at} /></td>
              <td className="right">
                <Button
                  type="link"
                  size="small"
                  onClick={(event) => {
                    event.stopPropagation();
                    onOpen(charge.id);
                  }}
                  aria-label={t('charge.explain', { span: spanText(charge.from, charge.to) })}
                  data-testid="explain"
                >
                  {t('charge.why')}
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
