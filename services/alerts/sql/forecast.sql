-- name: days_left_page
-- Purses above $1 for which a rule names a number of days: company, num, account, purpose, balance, currency, days left,
-- days of the rule. The usual rate is the mean of the last 14 whole days that have a day row; without one, nothing is
-- said.
select b.company_id, b.num, b.account_num, b.purpose, b.balance_micro, b.currency,
       greatest(0, b.balance_micro / greatest(use.a_day, 1))::bigint, rule.days_left::bigint
from billing.purse b
cross join lateral (
    select r.days_left, r.is_enabled from core.alert_rule r
    where r.company_id = b.company_id and r.kind = 'days_left'
      and (r.account_num = b.account_num or (r.account_num is null and (r.property_num = b.property_num or r.property_num is null)))
    order by r.account_num nulls last, r.property_num nulls last limit 1) rule
cross join lateral (
    select sum(per_day.amount) / count(*) as a_day from (
        select d.day, sum(d.amount_micro)::bigint as amount
        from core.usage_point_account h
        join billing.day d on d.company_id = h.company_id and d.usage_point_num = h.usage_point_num
        where h.company_id = b.company_id and h.purse_num = b.num and h.to_at is null
          and d.day >= ($2 at time zone 'UTC')::date - 15 and d.day < ($2 at time zone 'UTC')::date - 1
        group by d.day) per_day) use
where b.num > $1 and rule.is_enabled and rule.days_left is not null and use.a_day > 0
order by b.num limit $3;
