import { Form, Input, Space } from 'antd';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';

import { FormDialog } from '../../components/FormDialog';
import { Answer, useProblemText } from '../../components/Notice';
import { classOf } from '../../lib/api/problem';
import { useSetThresholds, useThresholds } from '../../lib/api/queries';
import type { Thresholds } from '../../lib/api/types';
import { thresholdsFromFields, thresholdsToFields, type ThresholdFields } from '../../lib/thresholds';

interface Props {
  account: string;
  room: string;
  isOpen: boolean;
  onClose: () => void;
}

export function ThresholdsDialog({ account, room, isOpen, onClose }: Props) {
  const { t } = useTranslation();
  const textOf = useProblemText();
  const [form] = Form.useForm<ThresholdFields>();
  const query = useThresholds(account, isOpen);
  const save = useSetThresholds(account, room);
  const current = query.data;

  useEffect(() => {
    if (isOpen && current) form.setFieldsValue(thresholdsToFields(current.thresholds));
  }, [isOpen, current, form]);

  const submit = (fields: ThresholdFields) => {
    if (!current) return;
    const read = thresholdsFromFields(current.thresholds, fields);
    if (!read.ok) {
      form.setFields(read.wrong.map(({ name, code }) => ({ name, errors: [t(`form.${code}`)] })));
      return;
    }
    save.mutate({ items: read.items, etag: current.etag }, { onSuccess: close, onError: (error) => classOf(error) === 'stale' && void query.refetch() });
  };
  const close = () => {
    save.reset();
    onClose();
  };

  return (
    <FormDialog
      title={t('purse.thresholds')}
      form={form}
      isOpen={isOpen}
      isSaving={save.isPending}
      problem={save.isError ? textOf(save.error) : null}
      canSave={current !== undefined}
      onSave={submit}
      onClose={close}
    >
      <p className="hint">{t('purse.thresholdsText')}</p>
      <Answer query={query}>{(data) => <Fields thresholds={data.thresholds} />}</Answer>
    </FormDialog>
  );
}

function Fields({ thresholds }: { thresholds: Thresholds }) {
  const { t } = useTranslation();
  return thresholds.items.map((item) => (
    <fieldset key={item.purpose} className="threshold-set">
      <legend>{t(`purpose.${item.purpose}`)}</legend>
      <Space size="middle" align="start" wrap>
        {(['alarm_1', 'alarm_2'] as const).map((level) => (
          <Form.Item key={level} name={[item.purpose, level]} label={t(`roomState.${level}`)}>
            <Input inputMode="decimal" suffix={thresholds.currency} maxLength={24} autoComplete="off" />
          </Form.Item>
        ))}
      </Space>
    </fieldset>
  ));
}
