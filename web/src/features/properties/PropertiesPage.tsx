// The properties an operator may see; who may see one only is taken to it.
import { useTranslation } from 'react-i18next';
import { Link, Navigate } from 'react-router';

import { Icon } from '../../components/Icon';
import { Answer, Notice } from '../../components/Notice';
import { useProperties } from '../../lib/api/queries';

export function PropertiesPage() {
  const { t } = useTranslation();
  const query = useProperties();
  const only = query.data?.items.length === 1 && query.data.next_cursor === null ? query.data.items[0] : undefined;
  if (only) return <Navigate to={`/properties/${encodeURIComponent(only.id)}`} replace />;
  return (
    <div className="narrow">
      <h1 className="page-title">{t('nav.properties')}</h1>
      <Answer
        query={query}
        isEmpty={(page) => page.items.length === 0}
        empty={<Notice tone="quiet" icon="building" title={t('properties.empty')} text={t('properties.emptyText')} />}
      >
        {(page) => (
          <>
            <ul className="property-list">
              {page.items.map((property) => (
                <li key={property.id}>
                  <Link className="property-card" to={`/properties/${encodeURIComponent(property.id)}`}>
                    <span className="property-icon"><Icon name="building" size={22} /></span>
                    <span className="property-name">{property.name}</span>
                    <span className="property-facts">{t('properties.rooms', { count: property.rooms })} · {property.currency} · {property.time_zone}</span>
                    <Icon name="right" />
                  </Link>
                </li>
              ))}
            </ul>
            {page.next_cursor !== null ? <p className="hint">{t('properties.more')}</p> : null}
          </>
        )}
      </Answer>
    </div>
  );
}
