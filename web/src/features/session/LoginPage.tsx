import { Alert, Button, Form, Input } from 'antd';
import { useTranslation } from 'react-i18next';
import { Navigate, useSearchParams } from 'react-router';

import { Icon } from '../../components/Icon';
import { useProblemText } from '../../components/Notice';
import { useLogIn, useSession } from '../../lib/api/queries';
import { chooseLanguage } from '../../lib/i18n';
import { safeReturnPath } from '../../lib/returnPath';

interface Fields {
  company: string;
  login: string;
  password: string;
}

export function LoginPage() {
  const { t, i18n } = useTranslation();
  const [query] = useSearchParams();
  const session = useSession();
  const other = i18n.language === 'en' ? 'zh-CN' : 'en';
  if (session.data) return <Navigate to={safeReturnPath(query.get('back'))} replace />;
  return (
    <main className="login">
      <div className="login-card">
        <div className="login-head">
          <span className="login-brand"><Icon name="brand" size={26} /></span>
          <h1>Penstock</h1>
          <Button type="text" size="small" lang={other} title={t('nav.switchLanguage')} onClick={() => void chooseLanguage(other, true)} data-testid="language">
            {other === 'en' ? 'English' : '中文'}
          </Button>
        </div>
        <p className="login-line">{t('session.tagline')}</p>
        <LoginForm />
      </div>
    </main>
  );
}

function LoginForm() {
  const { t } = useTranslation();
  const textOf = useProblemText();
  const logIn = useLogIn();
  const needed = [{ required: true, message: t('form.required') }];
  return (
    <Form<Fields> layout="vertical" requiredMark={false} onFinish={(fields) => logIn.mutate(fields)} disabled={logIn.isPending}>
      {logIn.isError ? <Alert type="error" showIcon title={textOf(logIn.error)} className="login-alert" role="alert" /> : null}
      <Form.Item label={t('session.company')} name="company" rules={needed}>
        <Input autoComplete="organization" autoCapitalize="none" spellCheck={false} maxLength={64} autoFocus />
      </Form.Item>
      <Form.Item label={t('session.login')} name="login" rules={needed}>
        <Input autoComplete="username" autoCapitalize="none" spellCheck={false} maxLength={64} />
      </Form.Item>
      <Form.Item label={t('session.password')} name="password" rules={needed}>
        <Input.Password autoComplete="current-password" maxLength={256} />
      </Form.Item>
      <Button type="primary" htmlType="submit" block size="large" loading={logIn.isPending}>{t('session.logIn')}</Button>
    </Form>
  );
}
