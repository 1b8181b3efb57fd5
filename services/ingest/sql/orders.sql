-- What is done on the line: commands of control and readings somebody wants now.

-- name: order_enter
-- Once per command, however often it is told. $7: the command as it was told, or an object without parameters.
insert into ingest.line_command (company_id, id, gateway_num, meter_num, channel_num, operation, parameters, version, issued_at, not_after,
                                 state, retry_at)
values ($1, $2, $3, $4, $5, $6, coalesce($7::jsonb -> 'parameters', '{}'), $8, $9, $10, 'waiting', $11)
on conflict on constraint line_command_company_id_id_pk do nothing;

-- name: order_enter_finished
-- One that came to its end before it began.
insert into ingest.line_command (company_id, id, gateway_num, meter_num, channel_num, operation, parameters, version, issued_at, not_after,
                                 state, retry_at, finished_at, outcome, reason)
values ($1, $2, $3, $4, $5, $6, '{}', $7, $8, $9, 'finished', $10, $10, $11, $12)
on conflict on constraint line_command_company_id_id_pk do nothing;

-- name: order_holder
-- Whether any living process serves the gateway.
select s.replica from ingest.gateway_session s
where s.company_id = $1 and s.gateway_num = $2 and s.closed_at is null and ingest.session_lives(s.replica, s.connected_at);

-- name: order_take
-- Takes what waits for gateways whose session replica $1 (started at $3) has, at most $4, switch-ons first; a new session
-- is a reason not to wait for the next try. One that a newer command of its kind replaced is left to order_close.
with mine as (
    select c.company_id, c.id, s.epoch
    from ingest.line_command c
    join ingest.gateway_session s on s.company_id = c.company_id and s.gateway_num = c.gateway_num
    where c.state = 'waiting' and (c.retry_at <= $2 or c.epoch <> s.epoch) and c.not_after > $2
      and s.replica = $1 and s.closed_at is null and s.connected_at >= $3
      and not exists (select from ingest.line_command n
                      where n.company_id = c.company_id and n.channel_num = c.channel_num and n.version > c.version
                        and ingest.command_kind(n.operation) = ingest.command_kind(c.operation))
    order by c.operation <> 'switch_on', c.num
    limit $4
    for update of c skip locked)
update ingest.line_command c
set state = 'running', epoch = mine.epoch, taken_at = $2, tries = c.tries + 1
from mine, core.meter m, core.meter_model mm
where c.company_id = mine.company_id and c.id = mine.id
  and m.company_id = c.company_id and m.num = c.meter_num and mm.num = m.model_num
returning c.company_id, c.id, c.num, c.gateway_num, c.meter_num, c.channel_num, c.operation, c.parameters, c.version, c.issued_at,
          c.epoch, c.tries, m.id, m.password_sealed, mm.switch_kind;

-- name: order_claim_switch_off
-- control's last word before a switch-off: it locks the purse, checks everything anew and notes that it was sent, or
-- notes the refusal.
select claimed, reason from control.claim_switch_off($1, $2, $3);

-- name: order_sent
-- In the claim's transaction; no row: the session is not this one any more, and the claim must be rolled back.
update ingest.line_command c set state = 'sent', sent_at = $4
where c.company_id = $1 and c.id = $2 and c.epoch = $3 and c.state = 'running'
  and exists (select from ingest.gateway_session s
              where s.company_id = c.company_id and s.gateway_num = c.gateway_num and s.epoch = c.epoch and s.closed_at is null)
returning c.num;

-- name: order_finish
-- No row: somebody else has ended it since.
update ingest.line_command set state = 'finished', finished_at = $4, outcome = $5, reason = $6, supply = $7
where company_id = $1 and id = $2 and epoch = $3 and state in ('running', 'sent')
returning num;

-- name: order_again
-- Waits for its next try. A switch-off is never among them.
update ingest.line_command set state = 'waiting', retry_at = $4
where company_id = $1 and id = $2 and epoch = $3 and state = 'running' and operation <> 'switch_off'
returning num;

-- name: order_close
-- Ends what nobody will end: too late, replaced by a newer one, or its link is gone ($1: now; $2: taken before this it
-- is given up even if its link lives). Nothing of a running switch-off has been sent; of a sent one nobody knows.
with gone as (
    select c.company_id, c.id,
           case when c.state = 'sent' then case when not x.is_held then 'session_lost' when c.taken_at < $2 then 'no_result' end
                when c.state = 'running' then
                    case when c.operation in ('switch_off', 'read_now') and not x.is_held then 'gateway_offline'
                         when c.operation in ('switch_off', 'read_now') and c.taken_at < $2 then 'no_result' end
                when exists (select from ingest.line_command n
                             where n.company_id = c.company_id and n.channel_num = c.channel_num and n.version > c.version
                               and ingest.command_kind(n.operation) = ingest.command_kind(c.operation)) then 'superseded'
                when c.not_after <= $1 then 'expired'
                when c.operation in ('switch_off', 'read_now') and not x.is_served then 'gateway_offline' end as reason
    from ingest.line_command c
    left join lateral (
        select s.epoch from ingest.gateway_session s
        where s.company_id = c.company_id and s.gateway_num = c.gateway_num and s.closed_at is null
          and ingest.session_lives(s.replica, s.connected_at)) live on true
    cross join lateral (select live.epoch is not null as is_served, live.epoch is not distinct from c.epoch and live.epoch is not null as is_held) x
    where c.state <> 'finished'
    for update of c skip locked)
update ingest.line_command c
set state = 'finished', finished_at = $1, reason = gone.reason,
    outcome = case when gone.reason = 'expired' then 'expired' when c.state = 'sent' then 'unknown' else 'failed' end
from gone
where c.company_id = gone.company_id and c.id = gone.id and gone.reason is not null
returning c.company_id, c.id, c.meter_num, c.channel_num, c.operation, c.outcome, c.reason, c.version;

-- name: order_requeue
-- What may be repeated and lost its link waits for the next one.
update ingest.line_command c
set state = 'waiting', retry_at = $1
where c.state = 'running' and c.operation not in ('switch_off', 'read_now')
  and (c.taken_at < $2
       or not exists (select from ingest.gateway_session s
                      where s.company_id = c.company_id and s.gateway_num = c.gateway_num and s.epoch = c.epoch and s.closed_at is null
                        and ingest.session_lives(s.replica, s.connected_at)));

-- name: order_forget
delete from ingest.line_command where state = 'finished' and finished_at < $1;
