// Questions to the catalogue. Each check answers the list of what is wrong, in words; an empty list is health. They
// read inside the caller's transaction, so that a test can break one thing and ask again.
import {
  CLOCK_FUNCTIONS, FURTHER_POLICIES, KEYS_WITHOUT_COMPANY, SEQUENCE_GRANTS, PUBLIC_GRANTS, ROLES, SCHEMAS, SERVICE_ROLES, WITHOUT_COMPANY, WORKERS, WORKERS_OF,
  expectedColumnGrants, expectedFunctions, expectedGrants, expectedLeafGrants, expectedTables, expectedUsage,
} from './expected.mjs';

const OF_COMPANY = '(company_id = ( SELECT penstock.current_company() AS current_company))';
const LETTERS = "case a.privilege_type when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w' when 'DELETE' then 'd' else ' ' || a.privilege_type end";
const ORDER = "position(a.privilege_type in 'SELECT INSERT UPDATE DELETE')";
const GRANTEE = "coalesce((select r.rolname from pg_roles r where r.oid = a.grantee), 'PUBLIC')";
const OURS = `n.nspname = any(array[${SCHEMAS.map((name) => `'${name}'`)}])`;

const TABLES = `
  select n.nspname || '.' || c.relname as name, c.oid, c.relkind, c.relispartition as is_leaf, pg_get_userbyid(c.relowner) as owner,
         c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
         (select a.attnum from pg_attribute a where a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped) as company
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where ${OURS} and c.relkind in ('r', 'p')`;

// Both lists as sets: what is missing and what is beyond.
function differences(actual, expected, missing = 'is missing', beyond = 'is beyond the list') {
  const [have, want] = [new Set(actual), new Set(expected)];
  return [...[...want].filter((x) => !have.has(x)).map((x) => `${x} ${missing}`), ...[...have].filter((x) => !want.has(x)).map((x) => `${x} ${beyond}`)];
}

async function names(query, text) {
  return (await query(text)).map((row) => Object.values(row)[0]);
}

export const checks = {
  async 'every table with a company is under row security, enabled and forced'(query) {
    const tables = (await query(TABLES)).filter((t) => !t.is_leaf);
    const wrong = tables.filter((t) => t.company && !(t.enabled && t.forced)).map((t) => `${t.name} is not enabled and forced`);
    const without = tables.filter((t) => !t.company).map((t) => t.name);
    return [...wrong, ...differences(without, Object.keys(WITHOUT_COMPANY), 'has a company now', 'has no company')];
  },

  async 'policies confine the api and the doors to one company, and name each worker'(query) {
    const tables = (await query(TABLES)).filter((t) => t.company && !t.is_leaf);
    const policies = await query(`
      select p.schemaname || '.' || p.tablename as table, case when r = 'public' then 'PUBLIC' else r end as role, p.cmd, p.permissive, p.qual, p.with_check
      from pg_policies p cross join unnest(p.roles) r`);
    const shown = policies.map((p) => `${p.table} ${p.role} ${p.cmd} ${[...new Set([p.qual, p.with_check])].filter((x) => x !== null).join(' / ')}${p.permissive === 'PERMISSIVE' ? '' : ' restrictive'}`);
    const expected = tables.flatMap(({ name }) => {
      const workers = WORKERS_OF[name] ?? WORKERS[name.split('.')[0]] ?? [];
      return [
        ...['penstock_api', 'penstock_door'].map((role) => `${name} ${role} ALL ${OF_COMPANY}`),
        ...workers.map((worker) => `${name} penstock_${worker} ALL true`),
      ];
    });
    const open = policies.filter((p) => p.cmd !== 'SELECT' && p.cmd !== 'DELETE' && p.with_check === null).map((p) => `${p.table} ${p.role} writes unchecked`);
    return [...differences(shown, [...expected, ...FURTHER_POLICIES]), ...open];
  },

  async 'tables are granted as the list says and not otherwise'(query) {
    const grants = await query(`
      select n.nspname || '.' || c.relname || ' ' || ${GRANTEE} || ' ' || string_agg(${LETTERS}, '' order by ${ORDER}) as shown
      from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(c.relacl) a
      where ${OURS} and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and a.grantee <> c.relowner
      group by n.nspname, c.relname, a.grantee`);
    const grantable = await names(query, `
      select n.nspname || '.' || c.relname || ' may be granted on by ' || ${GRANTEE} from pg_class c
      join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(c.relacl) a
      where ${OURS} and a.is_grantable and a.grantee <> c.relowner`);
    const tables = (await query(TABLES)).filter((t) => !t.is_leaf).map((t) => t.name);
    return [...differences(grants.map((g) => g.shown), [...expectedGrants(), ...PUBLIC_GRANTS.map((g) => g.replace(' ', ' PUBLIC '))]),
      ...differences(tables, expectedTables(), 'does not exist', 'is not in the list'), ...grantable];
  },

  async 'columns are granted as the list says'(query) {
    const grants = await names(query, `
      select n.nspname || '.' || c.relname || '.' || t.attname || ' ' || ${GRANTEE} || ' ' || string_agg(${LETTERS}, '' order by ${ORDER})
      from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(t.attacl) a
      where ${OURS} and a.grantee <> c.relowner group by n.nspname, c.relname, t.attname, a.grantee`);
    return differences(grants, expectedColumnGrants());
  },

  async 'leaves are for the service that fills them'(query) {
    const leaves = await query(`
      select n.nspname || '.' || c.relname as name, pn.nspname || '.' || p.relname as parent, c.relname like '%_default' as is_default,
             array(select ${GRANTEE} || ' ' || string_agg(${LETTERS}, '' order by ${ORDER}) from aclexplode(c.relacl) a
                   where a.grantee <> c.relowner group by a.grantee) as grants
      from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
      join pg_namespace n on n.oid = c.relnamespace join pg_namespace pn on pn.oid = p.relnamespace
      where ${OURS} and c.relkind = 'r'`);
    const expected = expectedLeafGrants();
    const parents = [...new Set(leaves.map((leaf) => leaf.parent))];
    return [...differences(parents, [...expected.keys()], 'has no leaf', 'is a parent nobody listed'),
      ...leaves.flatMap(({ name, parent, is_default, grants }) => differences(grants, is_default ? [] : (expected.get(parent) ?? [])).map((wrong) => `${name}: ${wrong}`))];
  },

  async 'nobody can change what was booked'(query) {
    return names(query, `
      select r.rolname || ' may ' || p.privilege || ' ' || c.oid::regclass
      from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join pg_roles r
      cross join unnest(array['update', 'delete', 'truncate']) p (privilege)
      where ${OURS} and c.relname ~ '^(reading|charge|transfer|reading_block)(_[0-9]{8}|_default)?$' and c.relkind in ('r', 'p')
        and r.rolname like 'penstock%' and r.rolname <> 'penstock_owner' and has_table_privilege(r.oid, c.oid, p.privilege)`);
  },

  async 'nobody truncates, references or adds triggers'(query) {
    return names(query, `
      select r.rolname || ' has ' || p.privilege || ' on ' || c.oid::regclass
      from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join pg_roles r
      cross join unnest(array['truncate', 'references', 'trigger']) p (privilege)
      where ${OURS} and c.relkind in ('r', 'p', 'v', 'm', 'f') and r.rolname like 'penstock%' and r.rolname <> 'penstock_owner'
        and has_table_privilege(r.oid, c.oid, p.privilege)`);
  },

  async 'schemas and sequences are closed except as listed'(query) {
    const usage = await query(`
      select n.nspname || ' ' || ${GRANTEE} || case a.privilege_type when 'USAGE' then '' else ' ' || a.privilege_type end as shown
      from pg_namespace n cross join lateral aclexplode(n.nspacl) a where ${OURS} and a.grantee <> n.nspowner`);
    const sequences = await names(query, `
      select n.nspname || '.' || c.relname || ' is granted to ' || ${GRANTEE} from pg_class c join pg_namespace n on n.oid = c.relnamespace
      cross join lateral aclexplode(c.relacl) a where ${OURS} and c.relkind = 'S' and a.grantee <> c.relowner`);
    const makers = await names(query, `
      select r.rolname || ' may create in ' || n.nspname from pg_namespace n cross join pg_roles r
      where (${OURS} or n.nspname = 'public') and r.rolname like 'penstock%' and r.rolname <> 'penstock_owner' and has_schema_privilege(r.oid, n.oid, 'create')`);
    const defaults = await names(query, `
      select 'a default privilege is granted to ' || ${GRANTEE} from pg_default_acl d cross join lateral aclexplode(d.defaclacl) a where a.grantee <> d.defaclrole`);
    return [...differences(usage.map((u) => u.shown), expectedUsage()), ...differences(sequences, SEQUENCE_GRANTS), ...makers, ...defaults];
  },

  async 'service roles own nothing, bypass nothing and are nobody else'(query) {
    const roles = await query(`select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin from pg_roles where rolname like 'penstock%'`);
    const wrong = differences(roles.map((r) => r.rolname), [...ROLES, 'penstock_owner']);
    for (const role of roles) {
      for (const attribute of ['rolsuper', 'rolbypassrls', 'rolcreaterole', 'rolcreatedb', 'rolreplication']) if (role[attribute]) wrong.push(`${role.rolname} has ${attribute}`);
      if (role.rolcanlogin !== SERVICE_ROLES.includes(role.rolname)) wrong.push(`${role.rolname} ${role.rolcanlogin ? 'may' : 'cannot'} log in`);
    }
    const members = await names(query, `
      select pg_get_userbyid(m.member) || ' is a member of ' || pg_get_userbyid(m.roleid) from pg_auth_members m
      where pg_get_userbyid(m.member) like 'penstock%'`);
    const owners = await names(query, `
      select pg_get_userbyid(c.relowner) || ' owns ' || c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and pg_get_userbyid(c.relowner) <> 'penstock_owner'
      union all
      select pg_get_userbyid(n.nspowner) || ' owns schema ' || n.nspname from pg_namespace n where ${OURS} and pg_get_userbyid(n.nspowner) <> 'penstock_owner'
      union all
      select pg_get_userbyid(t.typowner) || ' owns type ' || t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
      where ${OURS} and pg_get_userbyid(t.typowner) <> 'penstock_owner'`);
    return [...wrong, ...members, ...owners];
  },

  async 'functions are those of the list, with a fixed path and no public door'(query) {
    const functions = await query(`
      select n.nspname || '.' || p.proname as name, p.prosecdef as definer, pg_get_userbyid(p.proowner) as owner, coalesce(p.proconfig, '{}') as settings,
             array(select distinct ${GRANTEE}::text from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee <> p.proowner) as callers
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${OURS}`);
    const expected = expectedFunctions();
    const wrong = differences(functions.map((f) => f.name), expected.map((e) => e.name));
    for (const f of functions) {
      const want = expected.find((e) => e.name === f.name);
      if (!want) continue;
      if (f.definer !== (want.definer !== null)) wrong.push(`${f.name} ${f.definer ? 'runs as its owner' : 'runs as its caller'}`);
      if (f.owner !== (want.definer ?? 'penstock_owner')) wrong.push(`${f.name} belongs to ${f.owner}`);
      if (f.definer && f.settings.join() !== 'search_path=pg_catalog, pg_temp') wrong.push(`${f.name} has the settings ${f.settings.join() || 'none'}`);
      wrong.push(...differences(f.callers.filter((c) => c !== f.owner), want.callers.filter((c) => c !== f.owner)).map((x) => `${f.name}: ${x}`));
    }
    return wrong;
  },

  async 'keys of a table with a company begin with it'(query) {
    const unique = await names(query, `
      select t.name || '.' || i.relname from (${TABLES}) t join pg_index x on x.indrelid = t.oid join pg_class i on i.oid = x.indexrelid
      where not t.is_leaf and t.company is not null and x.indisunique and x.indkey[0] <> t.company`);
    const foreign = await names(query, `
      select t.name || '.' || k.conname from (${TABLES}) t join pg_constraint k on k.conrelid = t.oid
      where not t.is_leaf and t.company is not null and k.contype = 'f' and k.conparentid = 0
        and not (k.conkey[1] = t.company and exists (select from pg_attribute a where a.attrelid = k.confrelid and a.attnum = k.confkey[1] and a.attname = 'company_id'))`);
    return differences([...unique, ...foreign], Object.keys(KEYS_WITHOUT_COMPANY), 'begins with the company now', 'does not begin with the company');
  },

  async 'no column, parameter or result is a floating-point number'(query) {
    return names(query, `
      select c.oid::regclass || '.' || a.attname || ' is ' || a.atttypid::regtype from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace where ${OURS} and a.attnum > 0 and not a.attisdropped
        and a.atttypid in ('float4'::regtype, 'float8'::regtype, 'float4[]'::regtype, 'float8[]'::regtype, 'money'::regtype)
      union all
      select p.oid::regprocedure || ' takes or returns one' from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where ${OURS} and (p.prorettype = any('{float4,float8}'::regtype[]) or exists (select from unnest(p.proargtypes) t where t = any('{float4,float8}'::regtype[])))`);
  },

  async 'constraints and unique indexes are named after table, columns and kind'(query) {
    return names(query, `
      select k.conrelid::regclass || ' has ' || k.conname from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and not c.relispartition and (left(k.conname, length(c.relname) + 1) <> c.relname || '_'
        or right(k.conname, 3) <> case k.contype when 'p' then '_pk' when 'f' then '_fk' when 'u' then '_uq' when 'c' then '_ck' else '' end)
      union all
      select x.indrelid::regclass || ' has the index ' || i.relname from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid
      join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and not c.relispartition and (right(i.relname, 3) <> case when x.indisprimary then '_pk' when x.indisunique then '_uq' else '_ix' end
        and left(i.relname, length(c.relname) + 1) <> c.relname || '_')`);
  },

  async 'time is a parameter'(query) {
    const CLOCK = '(\\mnow\\s*\\(|\\mcurrent_(timestamp|date|time)\\M|\\m(clock|statement|transaction)_timestamp\\M|\\mlocaltime(stamp)?\\M|\\mtimeofday\\M)';
    const functions = await names(query, `select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${OURS} and p.prosrc ~* '${CLOCK}'`);
    const defaults = await names(query, `
      select c.oid::regclass || ' has a default from the clock' from pg_attrdef d join pg_class c on c.oid = d.adrelid join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and c.relname <> 'schema_version' and pg_get_expr(d.adbin, d.adrelid) ~* '${CLOCK}'`);
    return [...differences(functions, CLOCK_FUNCTIONS, 'asks no clock now', 'asks the clock'), ...defaults];
  },

  async 'no view, rule or foreign table goes round the policies'(query) {
    return names(query, `
      select c.oid::regclass || ' is of kind ' || c.relkind::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and (c.relkind in ('m', 'f') or c.relkind = 'v' and not coalesce(c.reloptions, '{}') @> '{security_invoker=true}')
      union all
      select r.ev_class::regclass || ' has the rule ' || r.rulename from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and c.relkind <> 'v'
      union all
      select t.tgrelid::regclass || ' has the trigger ' || t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
      where ${OURS} and not t.tgisinternal and t.tgfoid <> 'core.touch()'::regprocedure`);
  },
};
