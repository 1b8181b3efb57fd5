-- ingest: what is done on the line, and what devices were told to be.

-- A command of control, or a reading somebody wants now. It waits here until the replica that has the gateway's session
-- takes it. `sent`: the switch-off was claimed and its frame may have left; it is never taken again.
create table ingest.line_command (
    company_id integer not null,
    id uuid not null,
    num bigint generated always as identity,
    gateway_num bigint not null,
    meter_num bigint not null,
    channel_num bigint not null,
    operation text not null,
    parameters jsonb not null,
    version bigint not null,
    issued_at timestamptz not null,
    not_after timestamptz not null,
    state text not null,
    retry_at timestamptz not null,
    tries integer not null default 0,
    epoch bigint,
    taken_at timestamptz,
    sent_at timestamptz,
    finished_at timestamptz,
    outcome text,
    reason text,
    supply text,
    constraint line_command_company_id_id_pk primary key (company_id, id),
    constraint line_command_operation_ck check (operation in ('switch_off', 'switch_on', 'close_allow', 'keep_power', 'release_keep_power',
                                                              'set_parameters', 'read_state', 'read_now')),
    constraint line_command_state_ck check (state in ('waiting', 'running', 'sent', 'finished')),
    constraint line_command_outcome_ck check ((state = 'finished') = (outcome is not null)
        and outcome in ('verified', 'refused', 'failed', 'expired', 'unknown')),
    constraint line_command_supply_ck check (supply in ('on', 'off', 'opening', 'closing', 'stuck', 'unknown'))
);
create index line_command_open_ix on ingest.line_command (company_id, gateway_num) where state <> 'finished';
create index line_command_company_id_channel_num_version_ix on ingest.line_command (company_id, channel_num, version);
create index line_command_finished_at_ix on ingest.line_command (finished_at) where state = 'finished';

-- The newest state of a channel's relay or valve that was read, by a poll, a push or after a command. A channel never
-- read counts as on. `since`: when this state was first read.
create table ingest.supply_state (
    company_id integer not null,
    channel_num bigint not null,
    state text not null,
    since timestamptz not null,
    constraint supply_state_company_id_channel_num_pk primary key (company_id, channel_num),
    constraint supply_state_state_ck check (state in ('on', 'off', 'opening', 'closing', 'stuck'))
);

-- What a phase's status word (registers 24 to 26) raised when it was last read: bits of the word.
create table ingest.phase_alarm (
    company_id integer not null,
    channel_num bigint not null,
    register smallint not null,
    bits integer not null,
    since timestamptz not null,
    constraint phase_alarm_company_id_channel_num_register_pk primary key (company_id, channel_num, register)
);

do $$
declare
    name text;
begin
    foreach name in array array['line_command', 'supply_state', 'phase_alarm'] loop
        perform penstock.protect(format('ingest.%I', name)::regclass, array['penstock_ingest']);
        execute format('grant select, insert, update on ingest.%I to penstock_ingest', name);
        execute format('grant select on ingest.%I to penstock_admin, penstock_api', name);
    end loop;
end $$;
grant delete on ingest.line_command to penstock_ingest;

-- Whether the process that opened a session at that time under that replica number still runs: its number is locked,
-- and was taken before the session began.
create function ingest.session_lives(replica smallint, connected_at timestamptz) returns boolean
    language sql stable
    as $$
        select exists (select from ingest.replica r where r.num = $1 and r.started_at <= $2)
           and exists (select from pg_catalog.pg_locks l
                       where l.locktype = 'advisory' and l.granted and l.classid = 7001 and l.objid::bigint = $1 and l.objsubid = 2
                         and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database()))
    $$;
alter function ingest.session_lives(smallint, timestamptz) owner to penstock_owner;
grant execute on function ingest.session_lives(smallint, timestamptz) to penstock_ingest;

-- Which commands of a channel the newer replaces; the rest stand side by side.
create function ingest.command_kind(operation text) returns text
    language sql immutable parallel safe
    as $$
        select case when $1 in ('switch_off', 'switch_on', 'close_allow') then 'switch'
                    when $1 in ('keep_power', 'release_keep_power') then 'keep'
                    when $1 = 'set_parameters' then 'parameters' end
    $$;
alter function ingest.command_kind(text) owner to penstock_owner;
grant execute on function ingest.command_kind(text) to penstock_ingest;
