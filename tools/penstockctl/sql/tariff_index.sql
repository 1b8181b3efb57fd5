-- Price indices: one list for the platform, and the tariff versions that its months make.

-- name: tariff_index_values
-- The value that counts for each index and month: the final one where there is one.
select distinct on (m.index_name, m.month) m.index_name, m.month, m.value_micro, m.is_provisional
from core.price_index_month m order by m.index_name, m.month, m.is_provisional

-- name: tariff_index_published
select m.is_provisional, m.value_micro from core.price_index_month m where m.index_name = $1 and m.month = $2 order by m.is_provisional

-- name: tariff_index_put
insert into core.price_index_month (index_name, month, is_provisional, value_micro, published_at) values ($1, $2, $3, $4, $5)

-- name: tariff_index_list
select m.index_name, m.month, m.value_micro, m.is_provisional, m.published_at,
       (select count(*) from core.tariff_version_index x where x.index_name = m.index_name and x.month = m.month
        and x.is_provisional = m.is_provisional)
from core.price_index_month m
where $1::text is null or m.index_name = $1
order by m.index_name, m.month, m.is_provisional desc

-- name: tariff_index_tariffs
-- Tariffs of all companies with a document that names the index.
select t.company_id, c.code, t.num, t.id, t.code
from core.tariff t
join core.company c on c.company_id = t.company_id
where exists (select from core.tariff_version v
              where v.company_id = t.company_id and v.tariff_num = t.num
                and jsonb_path_exists(v.document::jsonb, '$.lines[*].prices.** ? (@.index == $name)', jsonb_build_object('name', $1::text)))
order by t.company_id, t.num

-- name: tariff_index_lock
-- Changes of a company's tariffs come one after another; a document that is being published is seen, or sees the value.
select c.company_id from core.company c order by c.company_id for no key update

-- name: tariff_index_documents
-- The documents of a tariff, each once, in the order in which they take effect.
select d.document, d.sha256, d.own_from
from (select distinct on (v.sha256) v.document, v.sha256, v.version, (v.document::jsonb ->> 'effective_from')::timestamptz as own_from
      from core.tariff_version v where v.company_id = $1 and v.tariff_num = $2 order by v.sha256, v.version) d
order by d.own_from, d.version

-- name: tariff_index_has_version
select exists (select from core.tariff_version v
               join core.tariff_version_index x on x.company_id = v.company_id and x.version_num = v.num and x.month = $4
               where v.company_id = $1 and v.tariff_num = $2 and v.sha256 = $3)

-- name: tariff_index_version_insert
insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at, replaces_num)
select $1, $2, $3, coalesce(max(v.version), 0) + 1, $4, $5, $6, $7, $8 from core.tariff_version v where v.company_id = $1 and v.tariff_num = $3
returning num, version

-- name: tariff_version_index_put
insert into core.tariff_version_index (company_id, version_num, index_name, month, value_micro, is_provisional)
select $1, $2, x.index_name, x.month, x.value_micro, x.is_provisional
from unnest($3::text[], $4::date[], $5::bigint[], $6::boolean[]) as x (index_name, month, value_micro, is_provisional)

-- name: tariff_index_provisional
-- Versions made of the provisional value that nothing has replaced yet.
select v.company_id, v.tariff_num, v.num, v.effective_from, v.document, v.sha256
from core.tariff_version_index x
join core.tariff_version v on v.company_id = x.company_id and v.num = x.version_num
where x.index_name = $1 and x.month = $2 and x.is_provisional
  and not exists (select from core.tariff_version f where f.company_id = v.company_id and f.replaces_num = v.num)
order by v.company_id, v.num

-- name: tariff_index_run_put
-- What was charged under the replaced versions is trued up: each partition's worker finds its points.
with made as (
    insert into billing.recharge_run (company_id, id, kind, reason, requested_at) values ($1, $2, 'index', $3, $4) returning company_id, num)
insert into billing.recharge_share (company_id, run_num, partition)
select distinct made.company_id, made.num, p.partition from made join core.property p on p.company_id = made.company_id
