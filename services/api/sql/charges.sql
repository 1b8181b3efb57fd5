-- Charges of one usage point; a charge's id rises with the time it was booked.

-- name: charges_page
-- Newest first, before id $3, of the account that holds the point now.
select c.id, c.kind, c.cause, c.from_at, c.to_at, c.booked_at, c.quantity, c.amount_micro
from billing.charge c
where c.company_id = (select penstock.current_company()) and c.usage_point_num = $1 and c.account_num = $2 and c.id < $3
order by c.id desc limit $4;

-- name: charges_of_day
-- Base charges of the holding account that overlap the day [$3, $4). They were booked after the day began.
select c.from_at, c.to_at, c.quantity, c.amount_micro, c.tariff_version_num
from billing.charge c
where c.company_id = (select penstock.current_company()) and c.usage_point_num = $1 and c.account_num = $2 and c.kind = 0
  and c.booked_at >= $3 and c.to_at > $3 and c.from_at < $4
order by c.from_at;
