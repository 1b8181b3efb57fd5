-- name: replace_point
-- A usage point with the meter that measures it now, and what billing read last; locked against a second replacement.
select up.num, up.property_num, up.utility, p.time_zone, p.currency, ci.num, ci.channel_num, ci.from_at, c.ordinal, c.ratio_num, c.ratio_den,
       m.num, m.gateway_num, m.port, m.bus_address, m.model_num, coalesce(s.legal_entity_num, 0), b.channel_num, b.last_at, b.last_value,
       ci.opening_value
from core.usage_point up
join core.property p on p.company_id = up.company_id and p.num = up.property_num
join core.channel_installation ci on ci.company_id = up.company_id and ci.usage_point_num = up.num and ci.to_at is null
join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num
join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
left join core.property_seller s on s.company_id = up.company_id and s.property_num = up.property_num and s.item = up.utility
left join billing.point b on b.num = up.num
where up.company_id = $1 and up.id = $2
for update of ci

-- name: replace_known
select r.content_sha256, r.id, r.closing_value, r.estimated, r.credit_micro, r.difference_micro
from core.meter_replacement r
join core.usage_point up on up.company_id = r.company_id and up.num = r.usage_point_num
where r.company_id = $1 and up.id = $2 and r.at = $3

-- name: replace_operator
-- An operator who may log in, and whether managing is among the roles.
select o.num, exists (select from core.operator_role r
                      where r.company_id = o.company_id and r.operator_num = o.num and r.role = 'manager')
from core.operator o where o.company_id = $1 and o.login = $2 and o.disabled_at is null

-- name: replace_model
select m.num from core.meter_model m where m.code = $1 and m.utility = $2

-- name: replace_end
update core.channel_installation set to_at = $3, closing_value = $4, closing_estimated = $5 where company_id = $1 and num = $2

-- name: replace_retire
-- A meter is gone when none of its channels measures anything any more.
update core.meter m set removed_at = $3
where m.company_id = $1 and m.num = $2
  and not exists (select from core.channel c
                  join core.channel_installation ci on ci.company_id = c.company_id and ci.channel_num = c.num
                  where c.company_id = m.company_id and c.meter_num = m.num and ci.to_at is null)

-- name: replace_meter_there
-- The new meter, where another of its channels was put in before.
select m.num from core.meter m
where m.company_id = $1 and m.gateway_num = $2 and m.port = $3 and m.bus_address = $4 and m.serial = $5 and m.removed_at is null

-- name: replace_meter_insert
insert into core.meter (company_id, id, property_num, gateway_num, port, bus_address, model_num, serial, installed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning num

-- name: replace_channel_insert
insert into core.channel (company_id, id, meter_num, ordinal, ratio_num, ratio_den) values ($1, $2, $3, $4, $5, $6) returning num

-- name: replace_begin
insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value) values ($1, $2, $3, $4, $5)

-- name: replace_purse
-- Whose purse pays for the usage point at an instant.
select h.purse_num from core.usage_point_account h
where h.company_id = $1 and h.usage_point_num = $2 and h.from_at <= $3 and (h.to_at is null or h.to_at > $3)

-- name: replace_booked
-- What the books hold of a channel's own credit.
select coalesce(sum(case when t.credit_class = 4 and t.credit_num = $2 then t.amount_micro else 0 end
                    - case when t.debit_class = 4 and t.debit_num = $2 then t.amount_micro else 0 end), 0)::bigint
from billing.transfer t
where t.company_id = $1 and t.kind <> 1 and ((t.credit_class = 4 and t.credit_num = $2) or (t.debit_class = 4 and t.debit_num = $2))

-- name: replace_put
insert into core.meter_replacement (company_id, id, usage_point_num, at, old_channel_num, new_channel_num, last_at, last_value, closing_value,
    opening_value, is_dead, estimated, credit_micro, difference_micro, purse_num, requested_by, approved_by, content_sha256, made_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) returning num

-- name: replace_post
-- The old meter's credit to the purse, and what the books had otherwise against the adjustment account: one posting for
-- each replacement. Transfers are adjustments (6) that name the replacement as their source.
select billing.post_transfers($1, 'meter_replacement', $2, $3,
    (select array_agg(row(t.id, 6, t.debit_class, t.debit_num, 0, t.credit_class, t.credit_num, 0, $9, t.amount, $10, $11, null,
                          'meter replaced')::billing.transfer_request order by t.id)
     from unnest($4::bigint[], $5::smallint[], $6::bigint[], $7::smallint[], $8::bigint[], $12::bigint[])
         as t (id, debit_class, debit_num, credit_class, credit_num, amount)))

-- name: replace_audit
insert into core.audit (company_id, at, actor, action, subject_kind, subject_id, detail)
values ($1, $2, 'penstockctl', 'meter_replace', 'usage_point', $3, $4::text::jsonb)
