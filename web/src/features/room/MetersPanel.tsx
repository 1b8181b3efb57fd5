// The devices behind a usage point, whether they answer, and what they last said.
import { useTranslation } from 'react-i18next';

import { Icon } from '../../components/Icon';
import { Notice } from '../../components/Notice';
import { Panel } from '../../components/Panel';
import { ContactMark } from '../../components/StateMark';
import { NONE, QuantityText, TimeText } from '../../components/Values';
import type { LastValue, Meter, UsagePoint } from '../../lib/api/types';
import { isDecimal } from '../../lib/decimal';
import { useRelayWord, useValueName } from '../../lib/names';
import { dateOf } from '../../lib/time';

export function MetersPanel({ point }: { point: UsagePoint }) {
  const { t } = useTranslation();
  return (
    <Panel title={t('meter.title')} className="meters-panel">
      {point.meters.length === 0 ? <Notice tone="quiet" icon="meter" title={t('meter.empty')} /> : null}
      {point.meters.map((meter) => <MeterBlock key={meter.id + meter.channel} meter={meter} />)}
      <dl className="pairs">
        <div><dt>{t('meter.tariff')}</dt><dd>{point.tariff ? <Tariff tariff={point.tariff} /> : t('meter.noTariff')}</dd></div>
        <div>
          <dt>{t('meter.lastReading')}</dt>
          <dd>{point.last_reading ? <><QuantityText value={point.last_reading.value} unit={point.last_reading.unit} /> · <TimeText at={point.last_reading.read_at} /></> : NONE}</dd>
        </div>
      </dl>
    </Panel>
  );
}

function Tariff({ tariff }: { tariff: NonNullable<UsagePoint['tariff']> }) {
  const { t } = useTranslation();
  return <>{tariff.code}<br /><span className="soft">{t('meter.version', { version: tariff.version, from: dateOf(tariff.effective_from) })}</span></>;
}

function MeterBlock({ meter }: { meter: Meter }) {
  const { t } = useTranslation();
  const { gateway } = meter;
  return (
    <div className="meter">
      <p className="meter-line">
        <Icon name="meter" /> <b className="num">{meter.address}</b>
        <span className="soft">{meter.model}{meter.channel > 1 ? ` · ${t('meter.channel', { channel: meter.channel })}` : ''}</span>
        <span className="meter-contact"><ContactMark isOnline={meter.online} /></span>
      </p>
      {meter.lost_since !== null ? <p className="meter-lost">{t('board.lostSince')} <TimeText at={meter.lost_since} /></p> : null}
      {gateway ? (
        <p className="meter-line meter-gateway">
          <Icon name="gateway" /> <span>{gateway.name}</span> <span className="soft">{t(`link.${gateway.link}`)}</span>
          <span className="meter-contact"><ContactMark isOnline={gateway.online} /></span>
        </p>
      ) : null}
      {meter.last_values.length > 0 ? (
        <dl className="values">
          {meter.last_values.map((value) => <Value key={value.name} value={value} />)}
        </dl>
      ) : (
        <p className="soft">{t('meter.noValues')}</p>
      )}
    </div>
  );
}

function Value({ value }: { value: LastValue }) {
  const nameOf = useValueName();
  const relayWord = useRelayWord();
  return (
    <div>
      <dt>{nameOf(value.name)}</dt>
      <dd>{isDecimal(value.value) ? <QuantityText value={value.value} unit={value.unit} /> : relayWord(value.value)}</dd>
      <dd className="value-time"><TimeText at={value.read_at} /></dd>
    </div>
  );
}
