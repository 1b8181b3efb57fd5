-- name: channel_retire
update core.channel_account set disabled_at = $3 where company_id = $1 and channel = $2 and disabled_at is null

-- name: channel_add
insert into core.channel_account (company_id, id, channel, provider, config_sealed, receipt_path, cost_micro, month_cap_micro)
values ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: channel_company
select company_id from core.company where code = $1
