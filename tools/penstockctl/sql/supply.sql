-- Supplies and freezes, by hand.

-- name: supply_company
select company_id from core.company where code = $1

-- name: supply_point
select u.num, u.name, u.never_cut from core.usage_point u where u.company_id = $1 and u.id = $2

-- name: supply_state
select d.state, d.version, d.reason, d.set_at, d.observed, d.observed_at, d.verified_version = d.version, d.waits_for, d.hold, d.hold_by,
       (select f.reason || coalesce(' until ' || f.until_at::text, '') || ', by ' || f.set_by from control.force_on f
        where f.company_id = d.company_id and f.usage_point_num = d.usage_point_num and f.released_at is null)
from control.desired d where d.company_id = $1 and d.usage_point_num = $2

-- name: supply_commands
select c.issued_at, c.operation, c.version, c.state, coalesce(c.reason, ''), coalesce(c.observed, ''), coalesce(c.requested_by, 'rule')
from control.command c where c.company_id = $1 and c.usage_point_num = $2 order by c.issued_at desc limit $3

-- name: supply_refusals
select r.last_at, r.action, r.reason, r.times from control.refusal r where r.company_id = $1 and r.usage_point_num = $2
order by r.num desc limit $3

-- name: supply_submit
select control.submit_request($1, $2, $3, $4, $5, $6, $7, $8)

-- name: supply_request
select r.state, coalesce(r.outcome, '') from control.request r where r.company_id = $1 and r.id = $2

-- name: freeze_list
select c.code, z.num, z.frozen_at, z.reason, z.detail, coalesce(z.first_by, ''), coalesce(z.released_by, '')
from control.freeze z join core.company c on c.company_id = z.company_id
where ($1::integer is null or z.company_id = $1) and (z.released_at is null or $2)
order by z.frozen_at desc limit 200

-- name: freeze_release
select control.release_freeze($1, $2, $3, $4)
