-- What status words say of relays, valves and loads, compared with what they said before.

-- name: supply_observe
-- Status words 3 ($3) of channels, read at $4. A relay is where it is (bit 4), whatever it was told (bit 6); a valve that
-- is not where it was told to be is on its way, and stuck once it has been that since $5. Answers who changed; one that
-- was never seen counts as on.
with seen as (
    select v.company_id, v.channel_num, v.read_at, m.num as meter_num, m.property_num,
           case when mm.switch_kind = 'valve' and v.word & 80 = 16 then 'opening'
                when mm.switch_kind = 'valve' and v.word & 80 = 64 then 'closing'
                when v.word & 16 <> 0 then 'off' else 'on' end as state
    from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::timestamptz[]) as v (company_id, channel_num, word, read_at)
    join core.channel c on c.company_id = v.company_id and c.num = v.channel_num
    join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
    join core.meter_model mm on mm.num = m.model_num),
judged as (
    select seen.*, coalesce(s.state, 'on') as known,
           case when seen.state in ('opening', 'closing') and (s.state = 'stuck' or s.state = seen.state and s.since < $5) then 'stuck'
                else seen.state end as now_state
    from seen left join ingest.supply_state s on s.company_id = seen.company_id and s.channel_num = seen.channel_num
    where s.since is null or s.since < seen.read_at),
put as (
    insert into ingest.supply_state as s (company_id, channel_num, state, since)
    select company_id, channel_num, now_state, read_at from judged order by channel_num
    on conflict on constraint supply_state_company_id_channel_num_pk do update set state = excluded.state, since = excluded.since
    where s.state <> excluded.state)
select company_id, channel_num, meter_num, property_num, now_state, read_at from judged where now_state <> known;

-- name: phase_observe
-- Alarm bits ($4) of status words 4 to 6 (register $3), read at $5. Answers the bits that rose, with the newest power in
-- watts.
with seen as (
    select v.company_id, v.channel_num, v.register, v.bits, v.read_at, coalesce(p.bits, 0) as known, m.num as meter_num, m.property_num
    from unnest($1::integer[], $2::bigint[], $3::smallint[], $4::integer[], $5::timestamptz[])
        as v (company_id, channel_num, register, bits, read_at)
    join core.channel c on c.company_id = v.company_id and c.num = v.channel_num
    join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
    left join ingest.phase_alarm p on p.company_id = v.company_id and p.channel_num = v.channel_num and p.register = v.register
    where coalesce(p.bits, 0) <> v.bits and (p.since is null or p.since < v.read_at)),
put as (
    insert into ingest.phase_alarm as p (company_id, channel_num, register, bits, since)
    select company_id, channel_num, register, bits, read_at from seen order by channel_num, register
    on conflict on constraint phase_alarm_company_id_channel_num_register_pk do update set bits = excluded.bits, since = excluded.since)
select seen.company_id, seen.channel_num, seen.meter_num, seen.property_num, seen.bits & ~seen.known as risen, seen.read_at,
       (select v.value / 1000 from ingest.last_value v
        where v.company_id = seen.company_id and v.channel_num = seen.channel_num and v.register = 16) as power_w
from seen where seen.bits & ~seen.known <> 0;
