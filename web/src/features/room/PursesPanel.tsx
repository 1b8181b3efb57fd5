// The money of the account, by purpose, and the two thresholds at which somebody is warned.
import { Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '../../components/Icon';
import { Notice } from '../../components/Notice';
import { Panel } from '../../components/Panel';
import { CreditLevelMark } from '../../components/StateMark';
import { MoneyText, NONE } from '../../components/Values';
import { usePermission } from '../../lib/api/permission';
import type { Purse, Room } from '../../lib/api/types';
import { parseDecimal } from '../../lib/decimal';
import { ThresholdsDialog } from './ThresholdsDialog';

export function PursesPanel({ room }: { room: Room }) {
  const { t } = useTranslation();
  const mayEdit = usePermission('thresholds.edit');
  const [isEditing, setEditing] = useState(false);
  const { account } = room;
  return (
    <Panel
      title={t('purse.title')}
      className="purses-panel"
      extra={
        account && mayEdit ? (
          <Button size="small" icon={<Icon name="edit" size={14} />} onClick={() => setEditing(true)} data-testid="edit-thresholds">{t('purse.edit')}</Button>
        ) : null
      }
    >
      {account && account.purses.length > 0 ? (
        <ul className="purses">
          {account.purses.map((purse) => <PurseRow key={purse.purpose} purse={purse} currency={account.currency} />)}
        </ul>
      ) : (
        <Notice tone="quiet" icon="circle-dashed" title={t(account ? 'purse.empty' : 'purse.noAccount')} />
      )}
      {account ? <ThresholdsDialog account={account.id} room={room.id} isOpen={isEditing} onClose={() => setEditing(false)} /> : null}
    </Panel>
  );
}

function PurseRow({ purse, currency }: { purse: Purse; currency: string }) {
  const { t } = useTranslation();
  return (
    <li className="purse" data-purpose={purse.purpose}>
      <div className="purse-top">
        <span>{t(`purpose.${purse.purpose}`)}</span>
        {purse.level ? <CreditLevelMark level={purse.level} /> : null}
      </div>
      <div className="purse-balance"><MoneyText amount={purse.balance} currency={currency} /></div>
      {purse.level ? (
        <dl className="purse-limits">
          <div><dt>{t('roomState.alarm_1')}</dt><dd><Threshold amount={purse.alarm_1} currency={currency} /></dd></div>
          <div><dt>{t('roomState.alarm_2')}</dt><dd><Threshold amount={purse.alarm_2} currency={currency} /></dd></div>
          {parseDecimal(purse.overdraft_limit) > 0n ? (
            <div><dt>{t('purse.overdraft')}</dt><dd><MoneyText amount={purse.overdraft_limit} currency={currency} /></dd></div>
          ) : null}
        </dl>
      ) : null}
    </li>
  );
}

function Threshold({ amount, currency }: { amount: string | null; currency: string }) {
  return amount === null ? <>{NONE}</> : <>≤ <MoneyText amount={amount} currency={currency} /></>;
}
