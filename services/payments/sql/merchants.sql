-- Merchants and their keys.

-- name: merchants_mark
-- Changes whenever a merchant or a key does.
select coalesce((select sum(m.change_seq + m.num) from core.merchant m), 0)::text || '/' ||
       (select count(*) || '/' || coalesce(max(k.num), 0) || '/' || count(*) filter (where k.valid_to < 'infinity')
               || '/' || coalesce(extract(epoch from max(k.valid_to) filter (where k.valid_to < 'infinity'))::bigint, 0)
        from payments.merchant_key k);

-- name: merchants_all
select m.company_id, m.num, m.id, m.legal_entity_num, m.channel, m.mode, m.merchant, m.sub_merchant, m.app, m.sub_app, m.base_url,
       m.standby_url
from core.merchant m order by m.company_id, m.num;

-- name: merchant_keys_all
-- Keys that are valid, or were in the last days: what was signed with them may still be repeated.
select k.company_id, k.merchant_num, k.use, k.version, k.serial, k.sealed,
       nullif(k.valid_from, '-infinity'), nullif(k.valid_to, 'infinity')
from payments.merchant_key k where k.valid_to > $1 order by k.company_id, k.merchant_num, k.num;

-- name: merchant_key_add
-- A key fetched from the channel; one with a serial we have is left.
insert into payments.merchant_key (company_id, merchant_num, use, version, serial, sealed, valid_from, valid_to, created_at)
select $1, $2, $3, $4, $5, $6, coalesce($7, '-infinity'::timestamptz), coalesce($8, 'infinity'::timestamptz), $9
where not exists (select from payments.merchant_key k where k.company_id = $1 and k.merchant_num = $2 and k.use = $3 and k.serial = $5)
on conflict on constraint merchant_key_company_id_merchant_num_use_version_uq do nothing;

-- name: merchant_key_version
select coalesce(max(k.version), 0) + 1 from payments.merchant_key k where k.company_id = $1 and k.merchant_num = $2 and k.use = $3;
