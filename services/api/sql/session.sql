-- Sessions and log-ins. The company is set in every transaction that runs these, but for company_by_code.

-- name: company_by_code
-- The number behind the code a person typed; NULL when there is none.
select core.company_by_code($1);

-- name: login_operator
-- The operator of a log-in with its password hash, and how often this login failed lately.
select o.num, o.password_hash, d.failures, d.failed_at
from (select $1::text as login) asked
left join core.operator o on o.company_id = (select penstock.current_company()) and o.login = asked.login and o.disabled_at is null
left join api.login_delay d on d.company_id = (select penstock.current_company()) and d.login = asked.login;

-- name: login_failed
-- Counts a failure at $2; what failed before $3 is forgotten.
insert into api.login_delay as d (company_id, login, failures, failed_at)
values (penstock.current_company(), $1, 1, $2)
on conflict (company_id, login) do update
set failures = case when d.failed_at < $3 then 1 else d.failures + 1 end, failed_at = $2;

-- name: login_succeeded
delete from api.login_delay where company_id = (select penstock.current_company()) and login = $1;

-- name: session_add
insert into api.session (company_id, token_sha256, operator_num, created_at, expires_at, last_used_at)
values (penstock.current_company(), $1, $2, $3, $4, $3);

-- name: session_delete
delete from api.session where company_id = (select penstock.current_company()) and token_sha256 = $1;

-- name: session_find
select s.operator_num, s.expires_at, o.id, o.login, o.name, o.locale, c.id, c.code, c.name
from api.session s
join core.operator o on o.company_id = s.company_id and o.num = s.operator_num
join core.company c on c.company_id = s.company_id
where s.company_id = (select penstock.current_company()) and s.token_sha256 = $1 and s.expires_at > $2 and o.disabled_at is null;

-- name: session_roles
select r.role, r.property_num from core.operator_role r
where r.company_id = (select penstock.current_company()) and r.operator_num = $1 order by r.num;

-- name: audit_add
insert into core.audit (company_id, at, actor, action, subject_kind, subject_id, detail)
values (penstock.current_company(), $1, $2, $3, $4, $5, $6::text::jsonb);
