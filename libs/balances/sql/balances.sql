-- name: balances_at
-- Of purses $2, what took effect until $3 and was booked until $4. Transfers of charges are found by their charges, which
-- have the same numbers: the indexes of transfers by purse leave them out.
select coalesce(m.amount, 0)::bigint
from unnest($2::bigint[]) with ordinality as w (num, ordinal)
left join core.purse p on p.company_id = $1 and p.num = w.num
left join lateral (
    select sum(x.amount) as amount
    from (select -t.amount_micro as amount from billing.transfer t
          where t.debit_class = 1 and t.debit_num = p.num and t.kind <> 1 and t.company_id = $1 and t.effective_at <= $3 and t.booked_at <= $4
          union all
          select t.amount_micro from billing.transfer t
          where t.credit_class = 1 and t.credit_num = p.num and t.kind <> 1 and t.company_id = $1 and t.effective_at <= $3 and t.booked_at <= $4
          union all
          select -c.amount_micro from core.usage_point_account h
          join billing.charge c on c.usage_point_num = h.usage_point_num and c.purse_num = p.num and c.kind <> 1 and c.to_at <= $3
              and c.booked_at <= $4
          where h.company_id = $1 and h.account_num = p.account_num
            and h.num = (select min(f.num) from core.usage_point_account f
                         where f.company_id = $1 and f.account_num = p.account_num and f.usage_point_num = h.usage_point_num)) x) m on true
order by w.ordinal
