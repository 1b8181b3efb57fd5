// The frame of every screen behind the log-in: who, where, whether what is shown is live.
import { Button, Dropdown, Select, type MenuProps } from 'antd';
import { Suspense, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Navigate, Outlet, useLocation, useMatch, useNavigate } from 'react-router';

import { Icon } from '../components/Icon';
import { Loading, Problem } from '../components/Notice';
import { useLogOut, useProperties, useRoom, useSession } from '../lib/api/queries';
import type { Session } from '../lib/api/types';
import { chooseLanguage, storedLanguage } from '../lib/i18n';
import { useLiveFeed, useLiveStatus } from './live';
import { useScheme } from './scheme';

export function Shell() {
  const session = useSession();
  const location = useLocation();
  const isLoggedIn = session.data !== undefined && session.data !== null;
  useLiveFeed(isLoggedIn);
  const language = session.data?.operator.language;
  useEffect(() => {
    if (language && storedLanguage() === null) void chooseLanguage(language, false);
  }, [language]);

  if (session.isPending) return <main className="lone"><Loading /></main>;
  if (session.isError && !session.data) {
    return <main className="lone"><Problem error={session.error} onRetry={() => void session.refetch()} /></main>;
  }
  if (!session.data) {
    const back = location.pathname + location.search;
    return <Navigate to={back === '/' ? '/login' : `/login?back=${encodeURIComponent(back)}`} replace />;
  }
  return (
    <div className="shell">
      <TopBar session={session.data} />
      <main className="page" id="main">
        <Suspense fallback={<Loading />}>
          <Outlet />
        </Suspense>
      </main>
    </div>
  );
}

function TopBar({ session }: { session: Session }) {
  const { t } = useTranslation();
  return (
    <header className="topbar">
      <a className="skip" href="#main">{t('nav.skip')}</a>
      <Link to="/" className="brand" aria-label={t('nav.home')}>
        <Icon name="brand" size={22} />
        <span className="brand-name">Penstock</span>
      </Link>
      <PropertySwitch />
      <span className="topbar-gap" />
      <LiveMark />
      <Tools session={session} />
    </header>
  );
}

function PropertySwitch() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const onBoard = useMatch('/properties/:property');
  const onRoom = useMatch('/rooms/:room');
  const properties = useProperties();
  const items = properties.data?.items ?? [];
  const current = onBoard?.params.property;
  if (items.length === 0) return null;
  if (onRoom) return <RoomsProperty room={onRoom.params.room ?? ''} />;
  return (
    <Select
      className="property-switch"
      aria-label={t('nav.property')}
      placeholder={t('nav.chooseProperty')}
      value={current ?? null}
      options={items.map((p) => ({ value: p.id, label: p.name }))}
      onChange={(id: string) => void navigate(`/properties/${encodeURIComponent(id)}`)}
      showSearch={{ optionFilterProp: 'label' }}
      popupMatchSelectWidth={false}
    />
  );
}

/** On a room page the way back to its board stands where the switch stands elsewhere. */
function RoomsProperty({ room }: { room: string }) {
  const query = useRoom(room);
  if (!query.data) return null;
  const { property } = query.data.place;
  return (
    <Link className="topbar-back" to={`/properties/${encodeURIComponent(property.id)}`}>
      <Icon name="back" size={16} />
      <span>{property.name}</span>
    </Link>
  );
}

function LiveMark() {
  const { t } = useTranslation();
  const status = useLiveStatus();
  return (
    <span className={`live live-${status}`} role="status" title={t(`live.${status}Text`)}>
      <span className="live-dot" aria-hidden="true" />
      <span className="live-word">{t(`live.${status}`)}</span>
    </span>
  );
}

function Tools({ session }: { session: Session }) {
  const { t, i18n } = useTranslation();
  const { scheme, toggle } = useScheme();
  const logOut = useLogOut();
  const other = i18n.language === 'en' ? 'zh-CN' : 'en';
  const items: MenuProps['items'] = [
    { key: 'who', type: 'group', label: <span className="who"><b>{session.operator.name}</b><br />{session.company.name}</span> },
    { type: 'divider' },
    { key: 'logout', label: t('session.logOut'), icon: <Icon name="leave" />, onClick: () => logOut.mutate() },
  ];
  return (
    <div className="tools">
      <Button
        type="text"
        className="tool"
        onClick={() => void chooseLanguage(other, true)}
        title={t('nav.switchLanguage')}
        lang={other}
        data-testid="language"
      >
        {other === 'en' ? 'English' : '中文'}
      </Button>
      <Button
        type="text"
        className="tool"
        onClick={toggle}
        aria-label={t(scheme === 'dark' ? 'nav.light' : 'nav.dark')}
        icon={<Icon name={scheme === 'dark' ? 'sun' : 'moon'} size={18} />}
      />
      <Dropdown menu={{ items }} trigger={['click']} placement="bottomRight">
        <Button type="text" className="tool" title={t('nav.account')} icon={<Icon name="person" size={18} />} data-testid="account-menu">
          <span className="tool-name">{session.operator.name}</span>
        </Button>
      </Dropdown>
    </div>
  );
}
