-- name: merchant_legal_entity
-- The legal entity of a company by its id, or its only one. No row: there is none such; several: say which.
select l.num, l.id, l.name from core.legal_entity l
where l.company_id = $1 and ($2::uuid is null or l.id = $2) order by l.num limit 2

-- name: merchant_find
-- The merchant of this entity and channel with these numbers.
select m.num, m.id, m.state from core.merchant m
where m.company_id = $1 and m.legal_entity_num = $2 and m.channel = $3 and m.merchant = $4 and m.sub_merchant = $5
order by m.num desc limit 1 for update

-- name: merchant_insert
insert into core.merchant (company_id, id, legal_entity_num, channel, mode, state, merchant, sub_merchant, app, sub_app, base_url, standby_url,
                           order_life_s, created_at)
values ($1, $2, $3, $4, $5, 'paused', $6, $7, $8, $9, $10, $11, $12, $13) returning num

-- name: merchant_update
update core.merchant m set mode = $3, app = $4, sub_app = $5, base_url = $6, standby_url = $7, order_life_s = $8
where m.company_id = $1 and m.num = $2

-- name: merchant_state
update core.merchant m set state = $3 where m.company_id = $1 and m.num = $2

-- name: merchant_replace
-- The one that was active before receives and refunds, but takes no new orders.
update core.merchant m set state = 'retired'
where m.company_id = $1 and m.legal_entity_num = $2 and m.channel = $3 and m.state = 'active' and m.num <> $4

-- name: merchant_key_newest
select k.version, k.sealed, k.serial from payments.merchant_key k
where k.company_id = $1 and k.merchant_num = $2 and k.use = $3 and ($4::text is null or k.serial = $4)
order by k.version desc limit 1

-- name: merchant_key_top
select coalesce(max(k.version), 0) from payments.merchant_key k where k.company_id = $1 and k.merchant_num = $2 and k.use = $3

-- name: merchant_key_insert
insert into payments.merchant_key (company_id, merchant_num, use, version, serial, sealed, created_at) values ($1, $2, $3, $4, $5, $6, $7)

-- name: merchant_key_end
-- A key that is not to be trusted from $5 on.
update payments.merchant_key k set valid_to = least(k.valid_to, $5)
where k.company_id = $1 and k.merchant_num = $2 and k.use = $3 and k.version = $4

-- name: merchant_audit
insert into core.audit (company_id, at, actor, action, subject_kind, subject_id, detail)
values ($1, $2, 'penstockctl', $3, 'merchant', $4, $5::text::jsonb)

-- name: merchant_list
select c.code, m.id, l.name, m.channel, m.mode, m.state, m.merchant, m.sub_merchant, m.app, m.sub_app, m.base_url, m.standby_url,
       m.order_life_s, m.num, m.company_id
from core.merchant m
join core.company c on c.company_id = m.company_id
join core.legal_entity l on l.company_id = m.company_id and l.num = m.legal_entity_num
where ($1::text is null or c.code = $1) and ($2::uuid is null or m.id = $2)
order by c.code, m.num

-- name: merchant_keys
select k.use, k.version, k.serial, nullif(k.valid_from, '-infinity'), nullif(k.valid_to, 'infinity'), k.created_at
from payments.merchant_key k where k.company_id = $1 and k.merchant_num = $2 order by k.use, k.version
