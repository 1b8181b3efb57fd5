// The one shape of a drawer: the whole width on a phone, beside the list elsewhere.
import { Drawer } from 'antd';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from './Icon';

export function SideDrawer({ title, isOpen, onClose, children }: { title: string; isOpen: boolean; onClose: () => void; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <Drawer
      title={title}
      open={isOpen}
      onClose={onClose}
      size="min(800px, 100vw)"
      closeIcon={<span aria-label={t('action.close')} role="img"><Icon name="close" /></span>}
      destroyOnHidden
    >
      {children}
    </Drawer>
  );
}
