-- name: change_seqs
select c.company_id, c.seq from core.change_seq c where c.company_id = any($1::integer[])

-- name: change_seqs_all
select c.company_id, c.seq from core.change_seq c

-- name: changed_since
-- What of a company's setups changed after number $2. kind 0: something all its points depend on; 1: this usage point;
-- 2: this channel measures, or measured, other points.
select 0::smallint as kind, 0::bigint as num
where exists (select from core.property t where t.company_id = $1 and t.change_seq > $2)
   or exists (select from core.property_seller t where t.company_id = $1 and t.change_seq > $2)
   or exists (select from core.property_calendar_day t where t.company_id = $1 and t.change_seq > $2)
   or exists (select from core.tariff t where t.company_id = $1 and t.change_seq > $2)
   or exists (select from core.tariff_version t where t.company_id = $1 and t.change_seq > $2)
   or exists (select from core.tariff_assignment t where t.company_id = $1 and t.change_seq > $2)
union all
select 1, t.num from core.usage_point t where t.company_id = $1 and t.change_seq > $2
union all
select 1, t.usage_point_num from core.usage_point_account t where t.company_id = $1 and t.change_seq > $2
union all
select 1, h.usage_point_num from core.agreement_heads t
join core.account a on a.company_id = t.company_id and a.agreement_num = t.agreement_num
join core.usage_point_account h on h.company_id = a.company_id and h.account_num = a.num
where t.company_id = $1 and t.change_seq > $2
union all
select 1, t.usage_point_num from core.channel_installation t where t.company_id = $1 and t.change_seq > $2
union all
select 2, t.channel_num from core.channel_installation t where t.company_id = $1 and t.change_seq > $2
union all
select 1, i.usage_point_num from core.channel t
join core.channel_installation i on i.company_id = t.company_id and i.channel_num = t.num
where t.company_id = $1 and t.change_seq > $2
union all
select 1, i.usage_point_num from core.meter t
join core.channel c on c.company_id = t.company_id and c.meter_num = t.num
join core.channel_installation i on i.company_id = c.company_id and i.channel_num = c.num
where t.company_id = $1 and t.change_seq > $2

-- name: purse_open
-- Projection rows for purses of the given partitions that have none yet. $2: companies, NULL for all. The lookup is a
-- scalar subquery because that is one index probe for each purse whatever the planner believes of a young table.
insert into billing.purse (num, company_id, account_num, property_num, purpose, currency, alarm_1_micro, alarm_2_micro, overdraft_micro,
                           level, updated_at)
select c.num, c.company_id, c.account_num, a.property_num, c.purpose, c.currency, c.alarm_1_micro, c.alarm_2_micro, e.overdraft,
       billing.credit_level(0, c.alarm_1_micro, c.alarm_2_micro, e.overdraft), $3
from core.property p
join core.account a on a.company_id = p.company_id and a.property_num = p.num
join core.purse c on c.company_id = a.company_id and c.account_num = a.num
cross join lateral (select case when c.overdraft_until is null or c.overdraft_until > $3 then c.overdraft_micro else 0 end as overdraft) e
where p.partition = any($1::smallint[]) and ($2::integer[] is null or p.company_id = any($2::integer[]))
  and (select b.num from billing.purse b where b.num = c.num) is null
on conflict on constraint purse_num_pk do nothing

-- name: purse_thresholds
-- Takes over changed thresholds and expired overdrafts; the level is evaluated anew at once, like a posting of zero.
-- Purses are locked in ascending num. Answers the properties concerned.
with wanted as (
    select b.num, b.level, c.alarm_1_micro, c.alarm_2_micro, e.overdraft
    from core.property p
    join core.account a on a.company_id = p.company_id and a.property_num = p.num
    join core.purse c on c.company_id = a.company_id and c.account_num = a.num
    cross join lateral (select case when c.overdraft_until is null or c.overdraft_until > $3 then c.overdraft_micro else 0 end as overdraft) e
    join billing.purse b on b.num = c.num
    where p.partition = any($1::smallint[]) and ($2::integer[] is null or p.company_id = any($2::integer[]))
      and (b.alarm_1_micro, b.alarm_2_micro, b.overdraft_micro) is distinct from (c.alarm_1_micro, c.alarm_2_micro, e.overdraft)
    order by b.num for update of b),
moved as (
    update billing.purse b
    set alarm_1_micro = w.alarm_1_micro, alarm_2_micro = w.alarm_2_micro, overdraft_micro = w.overdraft, updated_at = $3,
        level = billing.credit_level(b.balance_micro, w.alarm_1_micro, w.alarm_2_micro, w.overdraft),
        level_version = b.level_version
            + (billing.credit_level(b.balance_micro, w.alarm_1_micro, w.alarm_2_micro, w.overdraft) <> b.level)::integer
    from wanted w where b.num = w.num
    returning b.num, b.company_id, b.account_num, b.property_num, b.purpose, b.currency, b.balance_micro, b.level, b.level_version,
              w.level <> b.level as has_changed),
told as (
    insert into billing.outbox (company_id, stream, type, subject_num, version, payload, created_at)
    select m.company_id, 'balances', 'level_changed', m.num, m.level_version,
           jsonb_build_object('purse', m.num, 'account', m.account_num, 'property', m.property_num, 'purpose', m.purpose,
                              'balance_micro', m.balance_micro::text, 'currency', m.currency, 'level', m.level,
                              'level_version', m.level_version), $3
    from moved m where m.has_changed
    returning 1)
select distinct m.company_id, m.property_num from moved m

-- name: stopped_points
-- Points that wait, of companies whose configuration changed.
select p.company_id, p.num, p.partition, p.last_at from billing.point p
where p.company_id = any($1::integer[]) and p.partition = any($2::smallint[]) and p.stopped_since is not null
