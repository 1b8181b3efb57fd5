-- The queue of messages. A message is handed to its provider between two transactions: the first marks it as being
-- sent, the second stores the answer. Whoever dies in between leaves it "sending", and after its lease it is unknown.

-- name: message_claim
update alerts.message m set state = 'sending', attempts = m.attempts + 1, next_at = $2
where (m.company_id, m.num) in (
    select q.company_id, q.num from alerts.message q
    where q.state = 'queued' and q.next_at <= $1 order by q.next_at for update skip locked limit $3)
returning m.company_id, m.num, m.id, m.kind, m.channel, m.address, m.locale, m.subject, m.body, m.body_sealed, m.parameters, m.attempts,
          m.queued_at, m.expires_at, m.episode_num,
          coalesce((select e.closed_at is not null or e.closes_at is not null from alerts.episode e where e.company_id = m.company_id and e.num = m.episode_num), false),
          m.property_num, m.account_num, cardinality(m.chain) > 0;

-- name: message_unknown
-- Handed over by somebody who never came back.
update alerts.message set state = 'unknown', reason = 'no answer was stored', next_at = $1
where state = 'sending' and next_at <= $1;

-- name: message_to_ask
-- What nobody knows the end of, each asked about once.
update alerts.message m set next_at = $2, attempts = m.attempts + 1
where (m.company_id, m.num) in (
    select q.company_id, q.num from alerts.message q
    where q.state = 'unknown' and q.next_at <= $1 and q.ended_at is null order by q.next_at for update skip locked limit $3)
returning m.company_id, m.num, m.id, m.kind, m.channel, m.address, m.locale, m.subject, m.body, m.body_sealed, m.parameters, m.attempts,
          m.queued_at, m.expires_at, m.episode_num, false as is_over, m.property_num, m.account_num, cardinality(m.chain) > 0;

-- name: message_unreceipted
-- Accepted, and no receipt came in time: the next way is tried, this one keeps its state.
update alerts.message m set next_at = 'infinity', reason = 'no receipt'
where (m.company_id, m.num) in (
    select q.company_id, q.num from alerts.message q
    where q.state = 'accepted' and q.next_at <= $1 order by q.next_at for update skip locked limit $2)
returning m.company_id, m.num;

-- name: message_end
-- $3: the state; accepted and delivered count as accepted at $5. A message that was delivered stays delivered.
update alerts.message set state = $3, reason = $4, next_at = $6, provider_id = coalesce($7, provider_id), cost_micro = cost_micro + $8,
       accepted_at = case when $3 in ('accepted', 'delivered') then coalesce(accepted_at, $5) else accepted_at end,
       ended_at = case when $3 in ('delivered', 'failed', 'suppressed') or ($3 = 'unknown' and $6 = 'infinity'::timestamptz) then $5 end
where company_id = $1 and num = $2 and state <> 'delivered'
returning num;

-- name: warning_delivered
-- Of a message that warned of a credit level.
insert into alerts.delivered_warning as w (company_id, purse_num, level, delivered_at, message_id)
select m.company_id, m.purse_num, m.level, $3, m.id from alerts.message m
where m.company_id = $1 and m.num = $2 and m.purse_num is not null and m.level is not null
on conflict on constraint delivered_warning_company_id_purse_num_level_pk do update
set delivered_at = greatest(w.delivered_at, excluded.delivered_at), message_id = excluded.message_id, noted_by = null;

-- name: message_origin
-- What is needed to try the next way.
select m.kind, m.property_num, m.account_num, m.customer_num, m.purse_num, m.level, array_to_string(m.chain, ' '), m.parameters, m.episode_num,
       m.expires_at, m.locale, m.state, m.id
from alerts.message m where m.company_id = $1 and m.num = $2;

-- name: message_next_exists
-- A message tried the next way once: its successor's id follows from its own.
select true from alerts.message m where m.company_id = $1 and m.id = $2;

-- name: contact_is_bad
update core.customer_contact set bad_since = $4 where company_id = $1 and channel = $2 and address = $3 and bad_since is null;

-- name: account_of_channel
select a.num, a.provider, a.config_sealed, a.cost_micro, a.month_cap_micro, a.id, a.change_seq,
       coalesce((select c.cost_micro from alerts.cost c where c.company_id = a.company_id and c.channel = a.channel and c.month = $3), 0)::bigint,
       coalesce((select b.open_until from alerts.breaker b where b.company_id = a.company_id and b.channel = a.channel and b.open_until > $4), 'epoch'::timestamptz)
from core.channel_account a where a.company_id = $1 and a.channel = $2 and a.disabled_at is null;

-- name: cost_add
insert into alerts.cost as c (company_id, channel, month, messages, cost_micro) values ($1, $2, $3, 1, $4)
on conflict on constraint cost_company_id_channel_month_pk do update set messages = c.messages + 1, cost_micro = c.cost_micro + excluded.cost_micro;

-- name: breaker_open
-- Rests twice as long each time it fails again.
insert into alerts.breaker as b (company_id, channel, open_until, failures, reason) values ($1, $2, $3::timestamptz + interval '1 minute', 1, $4)
on conflict on constraint breaker_company_id_channel_pk do update
set failures = b.failures + 1, reason = excluded.reason, open_until = $3::timestamptz + least(interval '1 hour', interval '1 minute' * 2 ^ least(b.failures, 6));

-- name: breaker_close
delete from alerts.breaker where company_id = $1 and channel = $2;

-- name: group_suppress
-- Younger messages of the same group to the same address are told by this one. Answers how many.
with more as (
    update alerts.message m set state = 'suppressed', reason = 'grouped', ended_at = $5
    where m.company_id = $1 and m.num <> $2 and m.address = $3 and m.state = 'queued'
      and m.parameters ->> 'group' = $4 returning 1)
select count(*) from more;

-- name: gateway_is_lost
-- Whether the outage of the gateway named in the message's group is told of by itself.
select true from alerts.episode e where e.company_id = $1 and e.kind = 'gateway_lost' and e.subject_num = $2 and e.closed_at is null;

-- name: receipt_account
select a.company_id, a.num, a.channel, a.provider, a.config_sealed, a.id from core.channel_account a where a.receipt_path = $1 and a.disabled_at is null;

-- name: receipt_message
select m.num, m.state from alerts.message m
where m.company_id = $1 and m.channel = $2 and m.provider_id = $3 and ($4 = '' or m.address = $4 or right(m.address, 11) = right($4, 11))
order by m.num desc limit 1;

-- name: receipt_keep
insert into alerts.receipt (company_id, channel, provider_id, address, is_delivered, reason, at, received_at)
values ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: receipt_take
-- A receipt that came before the provider's answer was stored.
delete from alerts.receipt r where r.company_id = $1 and r.channel = $2 and r.provider_id = $3 and ($4 = '' or r.address = '' or right(r.address, 11) = right($4, 11))
returning r.is_delivered, coalesce(r.reason, ''), r.at;

-- name: receipt_forget
delete from alerts.receipt where received_at < $1;

-- name: token_read
select t.value_sealed, t.expires_at from alerts.token t
where t.company_id = $1 and t.channel = $2 and t.key = $3 and t.value_sealed is not null and t.expires_at > $4;

-- name: token_renewing
-- A row when it is this caller who renews, until $5.
insert into alerts.token as t (company_id, channel, key, renewing_until) values ($1, $2, $3, $5)
on conflict on constraint token_company_id_channel_key_pk do update set renewing_until = excluded.renewing_until
where t.renewing_until is null or t.renewing_until < $4
returning true;

-- name: token_write
update alerts.token set value_sealed = $4, expires_at = $5, renewing_until = null where company_id = $1 and channel = $2 and key = $3;

-- name: message_announcement
select m.id, m.kind, m.channel, m.property_num, m.account_num from alerts.message m where m.company_id = $1 and m.num = $2;
