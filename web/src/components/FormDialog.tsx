// The one shape of a dialog with a form: a title, what went wrong, fields, cancel and save.
import { Alert, Form, Modal, type FormInstance } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

interface Props<T> {
  title: string;
  form: FormInstance<T>;
  isOpen: boolean;
  isSaving: boolean;
  problem: string | null;
  canSave: boolean;
  onSave: (fields: T) => void;
  onClose: () => void;
  children: ReactNode;
}

export function FormDialog<T>({ title, form, isOpen, isSaving, problem, canSave, onSave, onClose, children }: Props<T>) {
  const { t } = useTranslation();
  return (
    <Modal
      title={title}
      open={isOpen}
      onCancel={onClose}
      onOk={() => form.submit()}
      okText={t('action.save')}
      cancelText={t('action.cancel')}
      confirmLoading={isSaving}
      okButtonProps={{ disabled: !canSave }}
      destroyOnHidden
    >
      {problem !== null ? <Alert type="error" showIcon title={problem} className="dialog-alert" role="alert" /> : null}
      <Form form={form} layout="vertical" requiredMark={false} disabled={isSaving} onFinish={onSave} preserve={false}>
        {children}
      </Form>
    </Modal>
  );
}
