-- Edits and requests of operators, with what makes them repeatable.

-- name: idempotency_claim
-- No row when the key was used before. A concurrent request with the same key waits here for the first one's end.
insert into api.idempotency (company_id, principal, key, request_sha256, status, response, created_at)
values (penstock.current_company(), $1, $2, $3, 0, '', $4)
on conflict (company_id, principal, key) do nothing returning true;

-- name: idempotency_find
select i.request_sha256, i.status, i.response from api.idempotency i
where i.company_id = (select penstock.current_company()) and i.principal = $1 and i.key = $2;

-- name: idempotency_answer
update api.idempotency set status = $3, response = $4
where company_id = (select penstock.current_company()) and principal = $1 and key = $2;

-- name: read_now_channel
-- What measures usage point $1 now: its first channel and the gateway that reaches it.
select up.num, up.property_num, c.num, c.meter_num, g.num, g.kind
from core.usage_point up
left join core.channel_installation ci on ci.company_id = up.company_id and ci.usage_point_num = up.num and ci.to_at is null
left join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num
left join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
left join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num
where up.company_id = (select penstock.current_company()) and up.id = $1 and ($2::bigint[] is null or up.property_num = any($2::bigint[]))
order by c.num limit 1;

-- name: read_requests_lately
-- Of the whole company since $1.
select count(*) from api.read_request r where r.company_id = (select penstock.current_company()) and r.requested_at > $1;

-- name: read_request_add
insert into api.read_request (company_id, id, usage_point_num, channel_num, requested_by, requested_at, state)
values (penstock.current_company(), $1, $2, $3, $4, $5, 'queued');

-- name: outbox_add
insert into api.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
values ($1, penstock.current_company(), $2, $3, $4, $5, $6::text::jsonb, $7);

-- name: read_request_by_id
-- With the total register of the channel as it is known now.
select r.state, r.requested_at, r.finished_at, r.reason, up.id, up.utility, p.time_zone, v.value, v.read_at
from api.read_request r
join core.usage_point up on up.company_id = r.company_id and up.num = r.usage_point_num
join core.property p on p.company_id = up.company_id and p.num = up.property_num
left join ingest.last_value v on v.company_id = r.company_id and v.channel_num = r.channel_num and v.register = 0
where r.company_id = (select penstock.current_company()) and r.id = $1 and ($2::bigint[] is null or p.num = any($2::bigint[]));

-- name: read_request_finish
-- Run by the worker, who sees all companies. A request that has ended keeps its end.
update api.read_request set state = $3, finished_at = $4, reason = $5
where company_id = $1 and id = $2 and state = 'queued';

-- name: account_by_id
select a.num, p.currency from core.account a join core.property p on p.company_id = a.company_id and p.num = a.property_num
where a.company_id = (select penstock.current_company()) and a.id = $1 and ($2::bigint[] is null or a.property_num = any($2::bigint[]));

-- name: thresholds_of
select p.num, p.purpose, p.alarm_1_micro, p.alarm_2_micro, p.version from core.purse p
where p.company_id = (select penstock.current_company()) and p.account_num = $1 order by p.num;

-- name: thresholds_lock
select p.num, p.purpose, p.alarm_1_micro, p.alarm_2_micro, p.version from core.purse p
where p.company_id = (select penstock.current_company()) and p.account_num = $1 order by p.num for update;

-- name: thresholds_set
update core.purse set alarm_1_micro = $2, alarm_2_micro = $3, version = version + 1
where company_id = (select penstock.current_company()) and num = $1;

-- name: charge_scope
-- The usage point of charge $1, booked between $2 and $3, when it was charged to the account that holds the point at $4;
-- while nobody holds it, what was charged to nobody.
select c.usage_point_num
from billing.charge c
join core.usage_point up on up.company_id = c.company_id and up.num = c.usage_point_num
where c.company_id = (select penstock.current_company()) and c.id = $1 and c.booked_at >= $2 and c.booked_at < $3
  and c.account_num = coalesce((select h.account_num from core.usage_point_account h
                                where h.company_id = up.company_id and h.usage_point_num = up.num
                                  and h.from_at <= $4 and (h.to_at is null or h.to_at > $4)
                                order by h.from_at desc limit 1), 0)
  and ($5::bigint[] is null or up.property_num = any($5::bigint[]));
