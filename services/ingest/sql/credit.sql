-- Who is near the end of their credit.

-- name: credit_near_end
-- Meters whose customer's purse stands at an alarm level or in arrears, of purses behind number $1, at most $2 purses at a
-- time; $3 is now.
select p.num, c.meter_num, p.level
from (select b.num, b.company_id, b.account_num, b.level from billing.purse b where b.level > 0 and b.num > $1 order by b.num limit $2) p
left join core.usage_point_account a on a.company_id = p.company_id and a.account_num = p.account_num and a.purse_num = p.num
                                    and a.from_at <= $3 and (a.to_at is null or a.to_at > $3)
left join core.channel_installation i on i.company_id = a.company_id and i.usage_point_num = a.usage_point_num and i.to_at is null
left join core.channel c on c.company_id = i.company_id and c.num = i.channel_num
order by p.num;
