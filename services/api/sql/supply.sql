-- Supplies: what is wanted of them, what was seen, what was done and refused; and operators' wishes.

-- name: supply_show
-- Usage point $1 at $3 with the policy in force for it. Whoever is no operator keeps the name control gave him.
select up.num, up.id, p.time_zone, d.state, d.version, d.reason, d.cause, d.set_at, d.hold, coalesce(ho.name, d.hold_by), d.hold_until,
       coalesce(d.observed, 'unknown'), d.observed_at, d.verified_at, d.waits_for, d.waits_since,
       f.from_at, f.until_at, f.reason, coalesce(fo.name, f.set_by),
       rule.is_known, rule.prepaid_rule, rule.cut_windows::text, rule.warning_required, rule.two_persons_from,
       control.is_in_window(up.company_id, up.property_num, p.calendar_name, rule.cut_windows, $3::timestamptz at time zone p.time_zone),
       control.next_window(up.company_id, up.property_num, p.calendar_name, p.time_zone, rule.cut_windows, $3::timestamptz)
from core.usage_point up
join core.property p on p.company_id = up.company_id and p.num = up.property_num
left join control.desired d on d.company_id = up.company_id and d.usage_point_num = up.num
left join core.operator ho on ho.company_id = d.company_id and 'operator:' || ho.num = d.hold_by
left join control.force_on f on f.company_id = up.company_id and f.usage_point_num = up.num and f.released_at is null
    and (f.until_at is null or f.until_at > $3::timestamptz)
left join core.operator fo on fo.company_id = f.company_id and 'operator:' || fo.num = f.set_by
cross join lateral control.policy_of(up.company_id, up.property_num, up.num) rule
where up.company_id = (select penstock.current_company()) and up.id = $1 and ($2::bigint[] is null or up.property_num = any($2::bigint[]));

-- name: supply_commands
-- The newest 50 commands of point $1, or those of request $2.
select c.id, c.operation, c.state, c.reason, c.observed, c.cause, c.version, coalesce(o.name, c.requested_by), c.issued_at, c.sent_at, c.finished_at
from control.command c
left join core.operator o on o.company_id = c.company_id and 'operator:' || o.num = c.requested_by
where c.company_id = (select penstock.current_company()) and c.usage_point_num = $1 and ($2::uuid is null or c.request_id = $2)
order by c.issued_at desc, c.id desc limit 50;

-- name: supply_refusals
select r.action, r.reason, r.cause, coalesce(o.name, r.requested_by), r.refused_at, r.last_at, r.times
from control.refusal r
left join core.operator o on o.company_id = r.company_id and 'operator:' || o.num = r.requested_by
where r.company_id = (select penstock.current_company()) and r.usage_point_num = $1
order by r.num desc limit 50;

-- name: supply_parameters
select s.state, s.reason, s.version, s.wanted::text, s.wanted_at, s.confirmed::text, s.confirmed_at
from control.parameter s where s.company_id = (select penstock.current_company()) and s.usage_point_num = $1;

-- name: supply_submit
select control.submit_request(penstock.current_company(), $1, $2, $3, $4, $5, $6, $7);

-- name: supply_request_show
select r.id, up.id, p.time_zone, r.action, r.state, r.outcome, r.reason, coalesce(o.name, r.requested_by), r.until_at, r.requested_at, r.finished_at,
       r.usage_point_num
from control.request r
join core.usage_point up on up.company_id = r.company_id and up.num = r.usage_point_num
join core.property p on p.company_id = up.company_id and p.num = up.property_num
left join core.operator o on o.company_id = r.company_id and 'operator:' || o.num = r.requested_by
where r.company_id = (select penstock.current_company()) and r.id = $1 and ($2::bigint[] is null or up.property_num = any($2::bigint[]));
