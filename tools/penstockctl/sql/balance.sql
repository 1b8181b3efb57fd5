-- name: balance_purses
-- The purses of an account, by its number or id, or one purse by its id.
select a.num, o.code, a.number, p.num, p.id, p.purpose, p.currency
from core.account a
join core.property o on o.company_id = a.company_id and o.num = a.property_num
join core.purse p on p.company_id = a.company_id and p.account_num = a.num
where a.company_id = $1 and (a.number = $2 or a.id = $3 or p.id = $4)
order by a.num, p.num
