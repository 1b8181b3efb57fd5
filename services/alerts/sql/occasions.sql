-- What happened, to whom it matters, and whether it is news. Workers serve all companies: each statement names its own.

-- name: context
-- The people and places around $3, which is an account, usage_point, channel, meter, gateway, property or company ($2),
-- at $4. An account's place is its agreement's first room, else where its first usage point is.
with point as (
    select up.num, up.property_num, up.place_num from core.usage_point up
    where up.company_id = $1 and up.num = case $2
        when 'usage_point' then $3
        when 'channel' then (select i.usage_point_num from core.channel_installation i
                             where i.company_id = $1 and i.channel_num = $3 and i.to_at is null limit 1)
        when 'meter' then (select i.usage_point_num from core.channel c
                           join core.channel_installation i on i.company_id = c.company_id and i.channel_num = c.num and i.to_at is null
                           where c.company_id = $1 and c.meter_num = $3 order by i.usage_point_num limit 1) end
), account as (
    select a.num, a.number, a.property_num, g.customer_num, g.num as agreement_num
    from core.account a join core.agreement g on g.company_id = a.company_id and g.num = a.agreement_num
    where a.company_id = $1 and a.num = case when $2 = 'account' then $3
        else (select h.account_num from core.usage_point_account h join point on point.num = h.usage_point_num
              where h.company_id = $1 and h.from_at <= $4 and (h.to_at is null or h.to_at > $4) order by h.from_at desc limit 1) end
), place as (
    select coalesce((select place_num from point),
                    (select min(r.place_num) from core.agreement_room r join account on account.agreement_num = r.agreement_num where r.company_id = $1),
                    (select min(up.place_num) from core.usage_point_account h join account on account.num = h.account_num
                     join core.usage_point up on up.company_id = h.company_id and up.num = h.usage_point_num
                     where h.company_id = $1 and h.to_at is null)) as num
)
select p.num, coalesce(p.name, co.name), coalesce(p.time_zone, 'UTC'), co.name, account.num, coalesce(account.number, ''), account.customer_num,
       coalesce(cu.name, ''), place.num,
       coalesce((select concat_ws(' ', b.name, f.name, r.name) from core.place r
                 left join core.place f on f.company_id = r.company_id and f.num = r.parent_num
                 left join core.place b on b.company_id = f.company_id and b.num = f.parent_num
                 where r.company_id = $1 and r.num = place.num), ''),
       coalesce(gw.name, '')
from core.company co
cross join place
left join point on true
left join account on true
left join core.gateway gw on gw.company_id = co.company_id and $2 = 'gateway' and gw.num = $3
left join core.property p on p.company_id = co.company_id
     and p.num = case when $2 = 'property' then $3 else coalesce(point.property_num, account.property_num, gw.property_num) end
left join core.customer cu on cu.company_id = co.company_id and cu.num = account.customer_num
where co.company_id = $1;

-- name: purse_now
-- The truth about a purse, whatever the event that led here said.
select b.account_num, b.purpose, b.currency, b.balance_micro, b.alarm_1_micro, b.alarm_2_micro, -b.overdraft_micro, b.level, b.level_version
from billing.purse b where b.company_id = $1 and b.num = $2;

-- name: rule_find
-- The narrowest rule: of the account, of the property, of the company. Quiet hours as minutes of the day, -1 for none.
select r.is_enabled, array_to_string(r.chain, ' '), coalesce(extract(epoch from r.quiet_from)::integer / 60, -1),
       coalesce(extract(epoch from r.quiet_to)::integer / 60, -1), r.per_day_max, coalesce(r.days_left, 0)
from core.alert_rule r
where r.company_id = $1 and r.kind = $2
  and (r.account_num = $4 or (r.account_num is null and (r.property_num = $3 or r.property_num is null)))
order by r.account_num nulls last, r.property_num nulls last limit 1;

-- name: episode_open
-- No row when an open episode was only touched.
with touched as (
    update alerts.episode e set touched_at = $6, touches = e.touches + 1, version = greatest(e.version, $5), closes_at = null
    where e.company_id = $1 and e.kind = $3 and e.subject_num = $4 and e.closed_at is null returning e.num)
insert into alerts.episode (company_id, id, kind, subject_num, version, opened_at, touched_at, property_num, account_num, place_num, detail)
select $1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10::text::jsonb where not exists (select from touched)
on conflict (company_id, kind, subject_num) where closed_at is null do nothing
returning num;

-- name: episode_close
update alerts.episode set closed_at = greatest($4, opened_at)
where company_id = $1 and kind = $2 and subject_num = $3 and closed_at is null returning num;

-- name: episode_calm
-- It is over; should it happen again before $5, it is the same episode.
update alerts.episode set closes_at = $4 where company_id = $1 and kind = $2 and subject_num = $3 and closed_at is null;

-- name: episodes_end
-- Those that stayed calm, and those of kinds without an end of their own that nothing touched since $2.
update alerts.episode set closed_at = greatest(coalesce(closes_at, $1), opened_at)
where closed_at is null and (closes_at <= $1 or (kind in ('switching_frozen') and touched_at < $2));

-- name: contacts_of_customer
-- A phone in the customer's own row serves where no other number is given.
select c.channel, c.address, c.locale, $3 = any (c.opted_out) from core.customer_contact c
where c.company_id = $1 and c.customer_num = $2 and c.bad_since is null
union all
select 'sms', u.phone, 'zh-CN', false from core.customer u
where u.company_id = $1 and u.num = $2 and u.phone is not null
  and not exists (select from core.customer_contact c where c.company_id = $1 and c.customer_num = $2 and c.channel = 'sms')
order by 1, 2;

-- name: contacts_of_operators
select r.channel, r.address, r.locale, false from core.alert_recipient r
where r.company_id = $1 and (r.property_num is null or r.property_num = $2) and r.disabled_at is null
  and (cardinality(r.kinds) = 0 or $3 = any (r.kinds))
order by r.num;

-- name: template_find
-- A company's own words, in the wanted language, else Chinese, else English.
select t.subject, t.body, coalesce(t.provider_template, ''), array_to_string(t.parameters, ' ')
from core.message_template t
where t.company_id = $1 and t.kind = $2 and t.channel = $3 and t.locale in ($4, 'zh-CN', 'en')
order by t.locale = $4 desc, t.locale = 'zh-CN' desc limit 1;

-- name: address_lately
-- How many messages of a day went, or will go, to one address.
select count(*) from alerts.message m
where m.company_id = $1 and m.address = $2 and m.queued_at > $3 and m.state <> 'suppressed' and m.kind <> 'login_code';

-- name: message_add
insert into alerts.message (company_id, id, episode_num, kind, property_num, account_num, customer_num, purse_num, level, channel, address, locale,
                            chain, subject, body, body_sealed, parameters, state, reason, queued_at, next_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, string_to_array(coalesce($13, ''), ' '), $14, $15, $16, $17::text::jsonb, $18, $19, $20, $21, $22)
on conflict (company_id, id) do nothing;

-- name: outbox_add
insert into alerts.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
values ($1, $2, 'messages', 'message_changed', $3, $4, $5::text::jsonb, $6);
