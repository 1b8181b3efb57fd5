-- control: desired states, commands, policies, refusals. A supply is on or off because a row of control.desired says so;
-- everything that is done on the line converges a device to the newest version of that row.

-- Windows of local time in which a supply may be switched off: [{"days":["mon","workday"],"from":"10:00","to":"16:00"}].
-- Days are those of libs/calendar: a day the calendar names is `holiday` or `workday`, any other its weekday.
create function core.is_cut_windows(windows jsonb) returns boolean
    language sql immutable parallel safe
    as $$
        select windows is null or (
            pg_catalog.jsonb_typeof(windows) = 'array' and pg_catalog.jsonb_array_length(windows) <= 50
            and not exists (
                select from pg_catalog.jsonb_array_elements(case pg_catalog.jsonb_typeof(windows) when 'array' then windows else '[]' end) w
                where pg_catalog.jsonb_typeof(w) <> 'object' or not w ?& array['days', 'from', 'to'] or w - array['days', 'from', 'to'] <> '{}'
                   or pg_catalog.jsonb_typeof(w -> 'days') <> 'array' or pg_catalog.jsonb_array_length(w -> 'days') not between 1 and 9
                   or not (w -> 'days') <@ '["mon","tue","wed","thu","fri","sat","sun","holiday","workday"]'
                   or (w ->> 'from') !~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' or (w ->> 'to') !~ '^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$'
                   or (w ->> 'from') >= (w ->> 'to')))
    $$;

-- What a device does by itself each day: up to eight times, rising: [{"at":"08:00","do":"on"}].
create function core.is_switching_schedule(slots jsonb) returns boolean
    language sql immutable parallel safe
    as $$
        select slots is null or (
            pg_catalog.jsonb_typeof(slots) = 'array' and pg_catalog.jsonb_array_length(slots) <= 8
            and not exists (
                select from (
                    select s, pg_catalog.lag(s ->> 'at') over (order by n) as earlier
                    from pg_catalog.jsonb_array_elements(case pg_catalog.jsonb_typeof(slots) when 'array' then slots else '[]' end)
                         with ordinality as e (s, n)) x
                where pg_catalog.jsonb_typeof(s) <> 'object' or not s ?& array['at', 'do'] or s - array['at', 'do'] <> '{}'
                   or (s ->> 'at') !~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' or (s ->> 'do') not in ('on', 'off') or (s ->> 'at') <= earlier))
    $$;

-- How supplies are switched. usage_point_num NULL is the property's rule; a column that is NULL in a point's row takes
-- the property's, and there the default of control.policy_of. Without a row nothing is switched off for arrears.
create table core.switching_policy (
    company_id integer not null,
    num bigint generated always as identity,
    property_num bigint not null,
    usage_point_num bigint,
    prepaid_rule boolean,
    cut_windows jsonb,
    warning_required boolean,
    warning_level smallint,          -- a warning of this credit level or a worse one counts
    warning_min_age_s integer,       -- so long before the switch-off it must have arrived
    warning_max_age_s integer,
    stale_after_s integer,           -- an older last reading switches nobody off
    credit_quiet_s integer,          -- after a credit nobody is switched off for so long
    min_on_s integer,                -- and so long after the supply came back
    two_persons_from integer,        -- an operator's switch-off of so many points at once wants two
    self_switch_allowed boolean,     -- customers may switch their own supply
    schedule jsonb,
    overload_w integer,
    overload_recoveries smallint,
    malicious_w integer,
    alarm_1_micro bigint,
    alarm_2_micro bigint,
    version integer not null default 1,
    change_seq bigint not null default 0,
    constraint switching_policy_company_id_num_pk primary key (company_id, num),
    constraint switching_policy_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint switching_policy_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint switching_policy_cut_windows_ck check (core.is_cut_windows(cut_windows)),
    constraint switching_policy_schedule_ck check (core.is_switching_schedule(schedule)),
    constraint switching_policy_warning_ck check (warning_level between 1 and 3 and warning_min_age_s between 0 and 2592000
                                                  and warning_max_age_s between 60 and 31536000),
    constraint switching_policy_times_ck check (stale_after_s between 60 and 604800 and credit_quiet_s between 600 and 604800
                                                and min_on_s between 0 and 86400),
    constraint switching_policy_two_persons_from_ck check (two_persons_from between 1 and 1000000),
    constraint switching_policy_device_ck check (overload_w between 1 and 99999 and overload_recoveries between 0 and 99
                                                 and malicious_w between 1 and 99999 and alarm_1_micro >= 0 and alarm_2_micro >= 0)
);
create unique index switching_policy_company_id_property_num_usage_point_num_uq
    on core.switching_policy (company_id, property_num, coalesce(usage_point_num, 0));
create trigger switching_policy_touch before insert or update on core.switching_policy for each row execute function core.touch();
select penstock.protect('core.switching_policy', array[]::text[]);
grant select, insert, update on core.switching_policy to penstock_admin, penstock_api;
grant select on core.switching_policy to penstock_door;

create type control.policy as (
    is_known boolean, prepaid_rule boolean, cut_windows jsonb, warning_required boolean, warning_level smallint, warning_min_age_s integer,
    warning_max_age_s integer, stale_after_s integer, credit_quiet_s integer, min_on_s integer, two_persons_from integer,
    self_switch_allowed boolean, schedule jsonb, overload_w integer, overload_recoveries smallint, malicious_w integer,
    alarm_1_micro bigint, alarm_2_micro bigint);
alter type control.policy owner to penstock_owner;

-- The policy in force for a point; point NULL: the property's.
create function control.policy_of(company integer, property bigint, point bigint) returns control.policy
    language sql stable
    as $$
        select row (
            p.num is not null or u.num is not null,
            coalesce(u.prepaid_rule, p.prepaid_rule, false),
            coalesce(u.cut_windows, p.cut_windows, '[{"days":["mon","tue","wed","thu","fri","workday"],"from":"10:00","to":"16:00"}]'),
            coalesce(u.warning_required, p.warning_required, true),
            coalesce(u.warning_level, p.warning_level, 2::smallint),
            coalesce(u.warning_min_age_s, p.warning_min_age_s, 1800),
            coalesce(u.warning_max_age_s, p.warning_max_age_s, 2592000),
            coalesce(u.stale_after_s, p.stale_after_s, 14400),
            coalesce(u.credit_quiet_s, p.credit_quiet_s, 600),
            coalesce(u.min_on_s, p.min_on_s, 1800),
            coalesce(u.two_persons_from, p.two_persons_from, 2),
            coalesce(u.self_switch_allowed, p.self_switch_allowed, false),
            coalesce(u.schedule, p.schedule), coalesce(u.overload_w, p.overload_w), coalesce(u.overload_recoveries, p.overload_recoveries),
            coalesce(u.malicious_w, p.malicious_w), coalesce(u.alarm_1_micro, p.alarm_1_micro), coalesce(u.alarm_2_micro, p.alarm_2_micro)
        )::control.policy
        from (select company as company_id, property as property_num) k
        left join core.switching_policy p
               on p.company_id = k.company_id and p.property_num = k.property_num and p.usage_point_num is null
        left join core.switching_policy u
               on u.company_id = k.company_id and u.property_num = k.property_num and u.usage_point_num = point
    $$;

-- What is wanted of a supply, and what was last seen of it. hold: an operator or customer took it out of the prepaid
-- rule. waits_for: why a switch-off that is wanted is not done, and since when. watch_at: when to look again whatever happens;
-- reading_after: a reading younger than this is a reason as well.
create table control.desired (
    company_id integer not null,
    usage_point_num bigint not null,
    property_num bigint not null,
    state text not null default 'on',
    version bigint not null default 0,
    reason text not null default 'initial',
    cause text,
    set_at timestamptz not null,
    hold text,
    hold_by text,
    hold_until timestamptz,
    observed text not null default 'unknown',
    observed_at timestamptz,
    verified_version bigint,
    verified_at timestamptz,
    on_since timestamptz,
    waits_for text,
    waits_since timestamptz,
    watch_at timestamptz,
    reading_after timestamptz,
    channel_num bigint,
    meter_num bigint,
    gateway_num bigint,
    constraint desired_company_id_usage_point_num_pk primary key (company_id, usage_point_num),
    constraint desired_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint desired_state_ck check (state in ('on', 'off')),
    constraint desired_cause_ck check (cause in ('arrears', 'operator', 'customer')),
    constraint desired_hold_ck check (hold in ('on', 'off')),
    constraint desired_observed_ck check (observed in ('on', 'off', 'opening', 'closing', 'stuck', 'unknown'))
);
create index desired_watch_at_ix on control.desired (watch_at) where watch_at is not null;
create index desired_reading_after_ix on control.desired (company_id) where reading_after is not null;
create index desired_company_id_gateway_num_ix on control.desired (company_id, gateway_num);

create table control.command (
    company_id integer not null,
    id uuid not null,
    usage_point_num bigint not null,
    property_num bigint not null,
    gateway_num bigint not null,
    meter_num bigint not null,
    channel_num bigint not null,
    operation text not null,
    parameters jsonb not null default '{}',
    version bigint not null,
    cause text,
    requested_by text,
    request_id uuid,
    state text not null default 'issued',
    reason text,
    observed text,
    issued_at timestamptz not null,
    not_after timestamptz not null,
    sent_at timestamptz,
    finished_at timestamptz,
    constraint command_company_id_id_pk primary key (company_id, id),
    constraint command_operation_ck check (operation in ('switch_off', 'switch_on', 'close_allow', 'keep_power', 'release_keep_power',
                                                         'set_parameters', 'read_state')),
    constraint command_cause_ck check (cause in ('arrears', 'operator', 'customer')),
    constraint command_state_ck check (state in ('issued', 'sent', 'verified', 'refused', 'failed', 'expired', 'unknown', 'superseded')),
    constraint command_switch_off_ck check (operation <> 'switch_off' or cause is not null)
);
create index command_company_id_usage_point_num_issued_at_ix on control.command (company_id, usage_point_num, issued_at);
create index command_open_ix on control.command (company_id, usage_point_num) where state in ('issued', 'sent', 'unknown');
create index command_not_after_ix on control.command (not_after) where state in ('issued', 'sent');
create index command_company_id_sent_at_ix on control.command (company_id, sent_at) where operation = 'switch_off' and sent_at is not null;

-- Why something was not switched. The same refusal of a standing condition is one row as long as nothing else came
-- between: `times` and last_at tell how often and until when. usage_point_num is NULL where not even that is known.
create table control.refusal (
    company_id integer not null,
    num bigint generated always as identity,
    usage_point_num bigint,
    property_num bigint,
    action text not null,
    reason text not null,
    version bigint,
    cause text,
    requested_by text,
    command_id uuid,
    request_id uuid,
    refused_at timestamptz not null,
    last_at timestamptz not null,
    times integer not null default 1,
    constraint refusal_company_id_num_pk primary key (company_id, num),
    constraint refusal_reason_ck check (reason ~ '^[a-z][a-z0-9_]{1,62}$')
);
create index refusal_company_id_usage_point_num_num_ix on control.refusal (company_id, usage_point_num, num);

-- Claims of a company take this row's lock, so that what they count stays true until they commit.
create table control.limiter (
    company_id integer not null,
    constraint limiter_company_id_pk primary key (company_id)
);

-- Nothing of this company is switched off until two persons release it.
create table control.freeze (
    company_id integer not null,
    num bigint generated always as identity,
    reason text not null,
    detail text not null,
    frozen_at timestamptz not null,
    first_by text,
    first_at timestamptz,
    released_by text,
    released_at timestamptz,
    constraint freeze_company_id_num_pk primary key (company_id, num),
    constraint freeze_two_persons_ck check (released_by <> first_by and (released_at is null) = (released_by is null)
                                            and (released_by is null or first_by is not null))
);
create unique index freeze_open_uq on control.freeze (company_id) where released_at is null;

-- Keeps a supply on whatever is owed, until it is released or its time is over.
create table control.force_on (
    company_id integer not null,
    num bigint generated always as identity,
    usage_point_num bigint not null,
    from_at timestamptz not null,
    until_at timestamptz,
    reason text not null,
    set_by text not null,
    released_at timestamptz,
    released_by text,
    constraint force_on_company_id_num_pk primary key (company_id, num),
    constraint force_on_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint force_on_until_at_ck check (until_at > from_at)
);
create unique index force_on_open_uq on control.force_on (company_id, usage_point_num) where released_at is null;

-- What somebody asked for. state: new, accepted (under way), done, refused (with its reason), failed.
create table control.request (
    company_id integer not null,
    id uuid not null,
    usage_point_num bigint not null,
    action text not null,
    requested_by text not null,
    approved_by text,
    reason text not null,
    until_at timestamptz,
    batch_id uuid,
    state text not null default 'new',
    outcome text,
    version bigint,
    requested_at timestamptz not null,
    finished_at timestamptz,
    constraint request_company_id_id_pk primary key (company_id, id),
    constraint request_action_ck check (action in ('off', 'on', 'force_on', 'release_force_on', 'resume_prepaid', 'read_state')),
    constraint request_state_ck check (state in ('new', 'accepted', 'done', 'refused', 'failed'))
);
create index request_new_ix on control.request (requested_at) where state = 'new';
create index request_company_id_usage_point_num_ix on control.request (company_id, usage_point_num, requested_at);
create index request_company_id_batch_id_ix on control.request (company_id, batch_id) where batch_id is not null;

-- An operator's command on several points. The second person approves exactly the list whose hash is shown, within
-- 15 minutes.
create table control.batch (
    company_id integer not null,
    id uuid not null,
    action text not null,
    points bigint[] not null,
    list_sha256 bytea not null,
    reason text not null,
    until_at timestamptz,
    proposed_by text not null,
    proposed_at timestamptz not null,
    expires_at timestamptz not null,
    needs_second boolean not null,
    state text not null,
    decided_by text,
    decided_at timestamptz,
    constraint batch_company_id_id_pk primary key (company_id, id),
    constraint batch_action_ck check (action in ('off', 'on', 'force_on', 'release_force_on', 'resume_prepaid', 'read_state')),
    constraint batch_state_ck check (state in ('proposed', 'approved', 'rejected', 'expired')),
    constraint batch_two_persons_ck check (state <> 'approved' or not needs_second or (decided_by is not null and decided_by <> proposed_by)),
    constraint batch_points_ck check (cardinality(points) between 1 and 100000)
);
create index batch_company_id_proposed_at_ix on control.batch (company_id, proposed_at);

-- What a device shall keep: versioned, written, read back. confirmed: what the device was last read to hold.
create table control.parameter (
    company_id integer not null,
    usage_point_num bigint not null,
    property_num bigint not null,
    channel_num bigint not null,
    meter_num bigint not null,
    gateway_num bigint not null,
    version bigint not null,
    wanted jsonb not null,
    wanted_at timestamptz not null,
    state text not null,
    reason text,
    confirmed jsonb,
    confirmed_version bigint,
    confirmed_at timestamptz,
    retry_at timestamptz,
    tries integer not null default 0,
    constraint parameter_company_id_usage_point_num_pk primary key (company_id, usage_point_num),
    constraint parameter_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint parameter_state_ck check (state in ('pending', 'issued', 'confirmed', 'mismatch', 'failed', 'unmanaged'))
);
create index parameter_retry_at_ix on control.parameter (retry_at) where retry_at is not null;

-- What devices reported beside readings.
create table control.alarm (
    company_id integer not null,
    event_id uuid not null,
    usage_point_num bigint,
    channel_num bigint not null,
    meter_num bigint not null,
    kind text not null,
    value bigint,
    reported_at timestamptz not null,
    constraint alarm_company_id_event_id_pk primary key (company_id, event_id)
);
create index alarm_company_id_usage_point_num_ix on control.alarm (company_id, usage_point_num, reported_at);

-- When a purse was last seen above its second alarm: a warning from before that says nothing of these arrears.
create table control.purse (
    company_id integer not null,
    purse_num bigint not null,
    well_at timestamptz not null,
    constraint purse_company_id_purse_num_pk primary key (company_id, purse_num)
);

do $$
declare
    name text;
begin
    foreach name in array array['desired', 'command', 'refusal', 'limiter', 'freeze', 'force_on', 'request', 'batch', 'parameter',
                                'alarm', 'purse'] loop
        perform penstock.protect(format('control.%I', name)::regclass, array['penstock_control']);
        execute format('grant select on control.%I to penstock_control, penstock_api, penstock_admin, penstock_door', name);
    end loop;
end $$;
grant insert, update on control.desired, control.command, control.refusal, control.force_on, control.request, control.batch,
    control.parameter, control.purse to penstock_control;
grant insert on control.freeze, control.alarm to penstock_control;
grant insert, update on control.desired, control.limiter, control.freeze, control.request, control.batch, control.parameter
    to penstock_door;
grant update on control.command to penstock_door;
grant insert on control.refusal, control.outbox to penstock_door;
create policy change_seq_control on core.change_seq for select to penstock_control using (true);
grant select on core.change_seq to penstock_control;
grant select on core.property, core.property_calendar_day, core.calendar_day, core.usage_point, core.usage_point_account, core.agreement,
    core.channel, core.channel_installation, core.meter_model, core.tariff_assignment, core.tariff_version, billing.point
    to penstock_door;
grant select (company_id, num, gateway_num, model_num, removed_at) on core.meter to penstock_door;
grant select (company_id, num, kind, disabled_at) on core.gateway to penstock_door;
grant select (company_id, num, disabled_at) on core.operator to penstock_door;

-- ---- facts ----------------------------------------------------------------------------------------------------------------

-- All that a decision about a switch-off stands on. Ages are in ms before the instant of the decision; NULL: never.
-- libs/switching decides on the same facts in C; a test compares both.
create type control.switch_facts as (
    cause text, is_newest boolean, is_switchable boolean, never_cut boolean, is_forced_on boolean, is_frozen boolean,
    off_last_hour bigint, off_limit bigint, has_unknown_off boolean, is_own boolean, prepaid_rule boolean, is_shared boolean,
    level smallint, payment_block text, credit_age_ms bigint, is_stopped boolean, reading_age_ms bigint, tariff_age_ms bigint,
    in_window boolean, is_warned boolean, on_age_ms bigint, stale_after_ms bigint, credit_quiet_ms bigint, min_on_ms bigint,
    property_num bigint, account_num bigint, purse_num bigint, channel_num bigint, meter_num bigint, gateway_num bigint,
    last_reading_at timestamptz, next_window_at timestamptz, scheduled text);
alter type control.switch_facts owner to penstock_owner;

-- The reason that stands against a switch-off, NULL when none does. A fact that could not be gathered stands against it.
create function control.refusal_of(f control.switch_facts) returns text
    language sql immutable parallel safe
    as $$
        select case
            when f is null or f.cause is null or f.cause not in ('arrears', 'operator', 'customer')
              or f.is_newest is null or f.is_switchable is null or f.never_cut is null or f.is_forced_on is null or f.is_frozen is null
              or f.off_last_hour is null or f.off_limit is null or f.has_unknown_off is null
              or (f.cause = 'customer' and f.is_own is null)
              or (f.cause = 'arrears' and (f.prepaid_rule is null or f.is_shared is null or f.is_stopped is null or f.in_window is null
                                           or f.is_warned is null or f.stale_after_ms is null or f.credit_quiet_ms is null
                                           or f.min_on_ms is null)) then 'missing_facts'
            when not f.is_newest then 'superseded'
            when not f.is_switchable then 'not_switchable'
            when f.never_cut then 'never_cut'
            when f.is_forced_on then 'force_on'
            when f.has_unknown_off then 'outcome_unknown'
            when f.cause = 'customer' and not f.is_own then 'not_allowed'
            when f.cause = 'arrears' then
                case when not f.prepaid_rule then 'rule_off'
                     when f.is_shared then 'shared'
                     when f.level is null then 'no_purse'
                     when f.level < 3 then 'not_in_arrears'
                     when f.payment_block in ('payment_unknown', 'payment_not_credited', 'payment_in_suspense', 'payment_recent')
                         then f.payment_block
                     when f.payment_block is not null then 'payment_unknown'
                     when f.credit_age_ms < f.credit_quiet_ms then 'credit_recent'
                     when f.is_stopped then 'point_stopped'
                     when f.reading_age_ms is null or f.reading_age_ms > f.stale_after_ms or f.reading_age_ms < -600000 then 'stale_reading'
                     when f.tariff_age_ms < 86400000 then 'tariff_changed'
                     when not f.in_window then 'outside_window'
                     when not f.is_warned then 'no_warning'
                     when f.on_age_ms < f.min_on_ms then 'on_recent'
                     when f.is_frozen then 'frozen'
                     when f.off_last_hour >= f.off_limit then 'limiter' end
            when f.is_frozen then 'frozen'
            when f.off_last_hour >= f.off_limit then 'limiter' end
    $$;

-- The kind of a local day: what the property's or the platform's calendar names it, else its weekday.
create function control.day_kind(company integer, property bigint, calendar text, day date) returns text
    language sql stable
    as $$
        select case when coalesce(x.kind, c.kind, 'normal') in ('holiday', 'workday') then coalesce(x.kind, c.kind)
                    else (array['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])[extract(isodow from $4)::integer] end
        from (select) one
        left join core.property_calendar_day x on x.company_id = company and x.property_num = property and x.day = $4
        left join core.calendar_day c on c.calendar_name = calendar and c.day = $4
    $$;

-- Whether a switch-off may take place at that local time, and when the next window opens (NULL: not within 14 days).
create function control.is_in_window(company integer, property bigint, calendar text, windows jsonb, local timestamp) returns boolean
    language sql stable
    as $$
        select exists (
            select from jsonb_to_recordset(windows) as w (days text[], "from" text, "to" text)
            where control.day_kind(company, property, calendar, local::date) = any(w.days)
              and to_char(local, 'HH24:MI') >= w."from" and to_char(local, 'HH24:MI') < w."to")
    $$;

create function control.next_window(company integer, property bigint, calendar text, zone text, windows jsonb, after timestamptz)
    returns timestamptz
    language sql stable
    as $$
        select min((d.day + w."from"::time) at time zone zone)
        from generate_series(0, 14) n
        cross join lateral (select ((after at time zone zone)::date + n) as day) d
        cross join jsonb_to_recordset(windows) as w (days text[], "from" text, "to" text)
        where control.day_kind(company, property, calendar, d.day) = any(w.days)
          and (d.day + w."from"::time) at time zone zone > after
    $$;

-- What the daily schedule wants at a local time: that of the last slot before it, of yesterday's last before the first.
create function control.scheduled_state(slots jsonb, local timestamp) returns text
    language sql immutable parallel safe
    as $$
        select s."do" from jsonb_to_recordset(slots) as s ("at" text, "do" text)
        order by s."at" <= to_char(local, 'HH24:MI') desc, s."at" desc limit 1
    $$;

-- When what a point pays last changed: another assignment or another version took over, by its own time or when it
-- became known, whichever is later. The first of either is no change.
create function control.tariff_changed_at(company integer, property bigint, point bigint, kind text, at timestamptz) returns timestamptz
    language sql stable
    as $$
        with mine as (
            select a.tariff_num, a.from_at, greatest(a.from_at, a.known_at) as since,
                   row_number() over (order by a.usage_point_num is null, a.from_at desc, a.num desc) as place,
                   count(*) over () as known
            from core.tariff_assignment a
            where a.company_id = company and a.property_num = property and a.utility = kind and a.from_at <= at
              and (a.usage_point_num is null or a.usage_point_num = point))
        select greatest(
            (select max(m.since) from mine m
             where exists (select from mine e where e.from_at < m.from_at or (e.from_at = m.from_at and e.place > m.place))),
            (select max(greatest(v.effective_from, v.published_at))
             from mine m join core.tariff_version v on v.company_id = company and v.tariff_num = m.tariff_num
             where m.place = 1 and v.effective_from <= at
               and exists (select from core.tariff_version e
                           where e.company_id = v.company_id and e.tariff_num = v.tariff_num and e.version < v.version)))
    $$;

-- Gathers the facts. version NULL: a decision that has no version yet; then what is issued counts for the limiter too.
create function control.facts_of(company integer, point bigint, wanted_cause text, wanted_version bigint, requester text, command uuid,
                                 at timestamptz) returns control.switch_facts
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    f control.switch_facts;
    here record;
    pays record;
    rule control.policy;
    local_time timestamp;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    select u.property_num, u.utility, u.never_cut, u.shared, p.time_zone, p.calendar_name into here
    from core.usage_point u join core.property p on p.company_id = u.company_id and p.num = u.property_num
    where u.company_id = company and u.num = point;
    if not found or at is null then
        return null;
    end if;
    rule := control.policy_of(company, here.property_num, point);
    local_time := at at time zone here.time_zone;
    f.cause := wanted_cause;
    f.property_num := here.property_num;
    f.never_cut := here.never_cut;
    f.is_shared := here.shared;
    f.prepaid_rule := rule.prepaid_rule;
    f.stale_after_ms := rule.stale_after_s * 1000::bigint;
    f.credit_quiet_ms := rule.credit_quiet_s * 1000::bigint;
    f.min_on_ms := rule.min_on_s * 1000::bigint;
    f.in_window := control.is_in_window(company, here.property_num, here.calendar_name, rule.cut_windows, local_time);
    f.scheduled := control.scheduled_state(rule.schedule, local_time);
    if not f.in_window then
        f.next_window_at := control.next_window(company, here.property_num, here.calendar_name, here.time_zone, rule.cut_windows, at);
    end if;

    select i.channel_num, c.meter_num, m.gateway_num, mm.switch_kind <> 'none' and g.kind <> 'http_push' and g.disabled_at is null
           and m.removed_at is null
    into f.channel_num, f.meter_num, f.gateway_num, f.is_switchable
    from core.channel_installation i
    join core.channel c on c.company_id = i.company_id and c.num = i.channel_num
    join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
    join core.meter_model mm on mm.num = m.model_num
    join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num
    where i.company_id = company and i.usage_point_num = point and i.from_at <= at and (i.to_at is null or i.to_at > at)
    order by i.from_at desc limit 1;
    f.is_switchable := coalesce(f.is_switchable, false);

    f.is_forced_on := exists (select from control.force_on o
                              where o.company_id = company and o.usage_point_num = point and o.released_at is null
                                and (o.until_at is null or o.until_at > at));
    f.is_newest := wanted_version is null
        or exists (select from control.desired d
                   where d.company_id = company and d.usage_point_num = point and d.version = wanted_version and d.state = 'off');
    f.has_unknown_off := exists (select from control.command c
                                 where c.company_id = company and c.usage_point_num = point and c.operation = 'switch_off'
                                   and c.state in ('sent', 'unknown') and c.id is distinct from command);
    f.is_frozen := exists (select from control.freeze z where z.company_id = company and z.released_at is null);
    select count(*) into f.off_last_hour from control.command c
    where c.company_id = company and c.operation = 'switch_off' and c.sent_at > at - interval '1 hour'
      and c.sent_at > coalesce((select max(z.released_at) from control.freeze z where z.company_id = company), '-infinity');
    if wanted_version is null then
        f.off_last_hour := f.off_last_hour + (select count(*) from control.command c
                                              where c.company_id = company and c.operation = 'switch_off' and c.state = 'issued'
                                                and c.not_after > at);
    end if;
    f.off_limit := 5;
    if f.off_last_hour >= 5 then
        f.off_limit := greatest(5, (select count(*) / 100 from core.usage_point u where u.company_id = company));
    end if;

    select a.account_num, a.purse_num, g.customer_num into pays
    from core.usage_point_account a
    join core.account c on c.company_id = a.company_id and c.num = a.account_num
    join core.agreement g on g.company_id = c.company_id and g.num = c.agreement_num
    where a.company_id = company and a.usage_point_num = point and a.from_at <= at and (a.to_at is null or a.to_at > at)
    order by a.from_at desc limit 1;
    f.account_num := pays.account_num;
    f.purse_num := pays.purse_num;
    if wanted_cause = 'customer' then
        f.is_own := coalesce(rule.self_switch_allowed and requester = 'customer:' || pays.customer_num, false);
    end if;
    -- An overdraft that was granted a moment ago counts before billing has taken it over.
    select case when b.level = 3 and b.balance_micro > -greatest(b.overdraft_micro,
                    case when p.overdraft_until is null or p.overdraft_until > at then p.overdraft_micro else 0 end) then 2
                else b.level end
    into f.level
    from billing.purse b join core.purse p on p.company_id = b.company_id and p.num = b.num
    where b.num = f.purse_num and b.company_id = company and b.purpose = here.utility;

    select b.stopped_since is not null, b.last_at, (extract(epoch from at - b.last_at) * 1000)::bigint
    into f.is_stopped, f.last_reading_at, f.reading_age_ms
    from billing.point b where b.num = point and b.company_id = company;
    f.is_stopped := coalesce(f.is_stopped, false);
    select (extract(epoch from at - d.on_since) * 1000)::bigint into f.on_age_ms
    from control.desired d where d.company_id = company and d.usage_point_num = point;

    if wanted_cause is distinct from 'arrears' or f.level is distinct from 3 or not rule.prepaid_rule then
        f.is_warned := false;
        return f;
    end if;
    f.payment_block := payments.switch_off_block(company, f.account_num, at);
    select (extract(epoch from at - max(t.booked_at)) * 1000)::bigint into f.credit_age_ms from billing.transfer t
    where t.credit_class = 1 and t.credit_num = f.purse_num and t.company_id = company and t.kind in (2, 3, 6, 7)
      and t.booked_at > at - make_interval(secs => rule.credit_quiet_s);
    f.tariff_age_ms := (extract(epoch from at - control.tariff_changed_at(company, here.property_num, point, here.utility, at)) * 1000)::bigint;
    f.is_warned := not rule.warning_required
        or exists (select from alerts.delivered_warning w
                   where w.company_id = company and w.purse_num = f.purse_num and w.level >= rule.warning_level
                     and w.delivered_at <= at - make_interval(secs => rule.warning_min_age_s)
                     and w.delivered_at > at - make_interval(secs => rule.warning_max_age_s)
                     and w.delivered_at > coalesce((select p.well_at from control.purse p
                                                    where p.company_id = company and p.purse_num = f.purse_num), '-infinity'));
    return f;
end $$;

-- ---- doors for the control service ----------------------------------------------------------------------------------------

-- Makes the row of a usage point that has none and locks it. False: this company has no such point.
create function control.open_point(company integer, point bigint, at timestamptz) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    insert into control.desired (company_id, usage_point_num, property_num, set_at)
    select u.company_id, u.num, u.property_num, at from core.usage_point u where u.company_id = company and u.num = point
    on conflict on constraint desired_company_id_usage_point_num_pk do nothing;
    perform from control.desired d where d.company_id = company and d.usage_point_num = point for update;
    return found;
end $$;

-- The points a purse pays now: all of them when it is in arrears, else those that control knows already.
create function control.points_of_purse(company integer, account bigint, purse bigint, at timestamptz) returns setof bigint
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    is_owing boolean;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    is_owing := exists (select from billing.purse p where p.num = purse and p.company_id = company and p.level = 3);
    return query
        select a.usage_point_num from core.usage_point_account a
        where a.company_id = company and a.account_num = account and a.purse_num = purse and a.from_at <= at
          and (a.to_at is null or a.to_at > at)
          and (is_owing or exists (select from control.desired d where d.company_id = company and d.usage_point_num = a.usage_point_num))
        order by 1;
end $$;

-- The point a channel measures now.
create function control.point_of_channel(company integer, channel bigint, at timestamptz) returns bigint
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    return (select i.usage_point_num from core.channel_installation i
            where i.company_id = company and i.channel_num = channel and i.from_at <= at and (i.to_at is null or i.to_at > at)
            order by i.from_at desc limit 1);
end $$;

-- Points of purses in arrears that nobody watches: after a new policy, or when an event never came.
create function control.unwatched_points(company integer, at timestamptz, how_many integer) returns setof bigint
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    return query
        select a.usage_point_num
        from billing.purse p
        join core.usage_point_account a on a.company_id = p.company_id and a.account_num = p.account_num and a.purse_num = p.num
        join core.usage_point u on u.company_id = a.company_id and u.num = a.usage_point_num
        left join control.desired d on d.company_id = a.company_id and d.usage_point_num = a.usage_point_num
        where p.company_id = company and p.level = 3 and a.from_at <= at and (a.to_at is null or a.to_at > at)
          and (d.usage_point_num is null or (d.state = 'on' and d.hold is null and d.watch_at is null))
          and (control.policy_of(company, u.property_num, u.num)).prepaid_rule
        order by 1 limit how_many;
end $$;

-- Wakes the points that waited for a reading and got one. Answers how many.
create function control.wake_read(company integer, at timestamptz) returns bigint
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    woken bigint;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    with due as (
        select d.usage_point_num from control.desired d
        join billing.point p on p.num = d.usage_point_num and p.company_id = d.company_id
        where d.company_id = company and d.reading_after is not null and p.last_at > d.reading_after
        order by d.usage_point_num for update of d skip locked)
    update control.desired d set watch_at = at, reading_after = null
    from due where d.company_id = company and d.usage_point_num = due.usage_point_num;
    get diagnostics woken = row_count;
    return woken;
end $$;

-- Brings control.parameter up to the policies: a changed want, or another channel behind the point, is a new version.
create function control.sync_parameters(company integer, at timestamptz) returns bigint
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    changed bigint;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    with device as (
        select distinct on (u.num) u.num as point, u.property_num, i.channel_num, c.meter_num, m.gateway_num
        from core.usage_point u
        join core.channel_installation i on i.company_id = u.company_id and i.usage_point_num = u.num and i.from_at <= at
             and (i.to_at is null or i.to_at > at)
        join core.channel c on c.company_id = i.company_id and c.num = i.channel_num
        join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
        join core.meter_model mm on mm.num = m.model_num
        join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num
        where u.company_id = company and mm.switch_kind <> 'none' and g.kind <> 'http_push' and m.removed_at is null
        order by u.num, i.from_at desc),
    wanted as (
        select d.*, jsonb_strip_nulls(jsonb_build_object(
                   'overload_w', r.overload_w, 'overload_recoveries', r.overload_recoveries, 'malicious_w', r.malicious_w,
                   'alarm_1_micro', r.alarm_1_micro, 'alarm_2_micro', r.alarm_2_micro, 'schedule', r.schedule)) as wants
        from device d cross join lateral control.policy_of(company, d.property_num, d.point) r
        where exists (select from core.switching_policy p where p.company_id = company and p.property_num = d.property_num))
    insert into control.parameter as p (company_id, usage_point_num, property_num, channel_num, meter_num, gateway_num, version, wanted,
                                        wanted_at, state, retry_at)
    select company, w.point, w.property_num, w.channel_num, w.meter_num, w.gateway_num, 1, w.wants, at, 'pending', at
    from wanted w
    where w.wants <> '{}' or exists (select from control.parameter q where q.company_id = company and q.usage_point_num = w.point)
    order by w.point
    on conflict on constraint parameter_company_id_usage_point_num_pk do update
    set channel_num = excluded.channel_num, meter_num = excluded.meter_num, gateway_num = excluded.gateway_num,
        version = p.version + 1, wanted = excluded.wanted, wanted_at = excluded.wanted_at, reason = null, tries = 0,
        state = case when excluded.wanted = '{}' then 'unmanaged' else 'pending' end,
        retry_at = case when excluded.wanted = '{}' then null else excluded.retry_at end
    where p.wanted <> excluded.wanted or p.channel_num <> excluded.channel_num;
    get diagnostics changed = row_count;
    return changed;
end $$;

-- Whether anything that switching stands on was edited after change number `since`: most edits of a company are not.
create function control.has_changed(company integer, since bigint) returns boolean
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    return exists (select from core.switching_policy t where t.company_id = company and t.change_seq > since)
        or exists (select from core.usage_point t where t.company_id = company and t.change_seq > since)
        or exists (select from core.usage_point_account t where t.company_id = company and t.change_seq > since)
        or exists (select from core.channel_installation t where t.company_id = company and t.change_seq > since)
        or exists (select from core.property t where t.company_id = company and t.change_seq > since)
        or exists (select from core.property_calendar_day t where t.company_id = company and t.change_seq > since)
        or exists (select from core.purse t where t.company_id = company and t.change_seq > since and t.overdraft_micro > 0);
end $$;

-- ---- ingest's door --------------------------------------------------------------------------------------------------------

-- The last word before a switch-off, in the transaction of whoever is about to send it: everything is checked anew under
-- the locks of the point, the company's limiter and the purse. True: the command is SENT when this transaction commits,
-- and at most once. False: nothing may be sent; the refusal and its reason are stored.
create function control.claim_switch_off(company integer, command uuid, at timestamptz)
    returns table (claimed boolean, reason text)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    asked control.command;
    f control.switch_facts;
    why text;
    purse bigint;
    is_locked boolean := true;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if command is null or at is null then
        raise exception 'no command or no time' using errcode = '22004';
    end if;
    -- An older snapshot would not see what the locks waited for.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'a switch-off is claimed in a read committed transaction' using errcode = '25001';
    end if;
    select c.* into asked from control.command c where c.company_id = company and c.id = command;
    if not found then
        insert into control.refusal (company_id, action, reason, command_id, refused_at, last_at)
        values (company, 'off', 'unknown_command', command, at, at);
        return query select false, 'unknown_command'::text;
        return;
    end if;
    perform from control.desired d
    where d.company_id = company and d.usage_point_num = asked.usage_point_num for update;
    select c.* into asked from control.command c where c.company_id = company and c.id = command for update;
    if asked.operation <> 'switch_off' then
        why := 'not_a_switch_off';
    elsif asked.state <> 'issued' then
        why := 'already_taken';
    elsif at > asked.not_after or at < asked.issued_at - interval '5 minutes' then
        why := 'expired';
    else
        insert into control.limiter (company_id) values (company) on conflict on constraint limiter_company_id_pk do nothing;
        perform from control.limiter l where l.company_id = company for update;
        if asked.cause = 'arrears' then
            select a.purse_num into purse from core.usage_point_account a
            where a.company_id = company and a.usage_point_num = asked.usage_point_num and a.from_at <= at
              and (a.to_at is null or a.to_at > at)
            order by a.from_at desc limit 1;
            perform from billing.purse p where p.num = purse and p.company_id = company for update;
            is_locked := found;
        end if;
        f := control.facts_of(company, asked.usage_point_num, asked.cause, asked.version, asked.requested_by, command, at);
        why := control.refusal_of(f);
        if why is null and not is_locked then
            why := 'no_purse';
        elsif why is null and (f.channel_num <> asked.channel_num or (asked.cause = 'arrears' and f.purse_num is distinct from purse)) then
            why := 'superseded';
        end if;
    end if;
    if why is null then
        update control.command c set state = 'sent', sent_at = at where c.company_id = company and c.id = command;
        insert into control.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
        values (gen_random_uuid(), company, 'control-events', 'supply_progress', asked.usage_point_num, asked.version,
                jsonb_build_object('usage_point', asked.usage_point_num, 'property', asked.property_num, 'command', command,
                                   'state', 'sent', 'version', asked.version), at);
        return query select true, null::text;
        return;
    end if;
    if why = 'limiter' then
        insert into control.freeze (company_id, reason, detail, frozen_at)
        values (company, 'limiter', f.off_last_hour || ' switch-offs within an hour, ' || f.off_limit || ' allowed', at)
        on conflict do nothing;
    end if;
    insert into control.refusal (company_id, usage_point_num, property_num, action, reason, version, cause, requested_by, command_id,
                                 request_id, refused_at, last_at)
    values (company, asked.usage_point_num, asked.property_num, 'off', why, asked.version, asked.cause, asked.requested_by, command,
            asked.request_id, at, at);
    -- A second claim of a command changes nothing about the first.
    if asked.state = 'issued' and asked.operation = 'switch_off' then
        update control.command c
        set state = case when why = 'expired' then 'expired' else 'refused' end, reason = why, finished_at = at
        where c.company_id = company and c.id = command;
        update control.desired d set watch_at = least(d.watch_at, at)
        where d.company_id = company and d.usage_point_num = asked.usage_point_num;
        insert into control.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
        values (gen_random_uuid(), company, 'control-events', 'supply_refused', asked.usage_point_num, asked.version,
                jsonb_build_object('usage_point', asked.usage_point_num, 'property', asked.property_num, 'account', f.account_num,
                                   'action', 'off', 'reason', why, 'version', asked.version), at);
    end if;
    return query select false, why;
end $$;

-- ---- doors for people -----------------------------------------------------------------------------------------------------

-- Who asks: 'operator:<num>' of an operator who is not disabled, 'customer:<num>', or 'cli:<name>' from the command line.
create function control.is_person(company integer, who text) returns boolean
    language sql stable
    as $$
        select case split_part(who, ':', 1)
            when 'operator' then exists (select from core.operator o
                                         where o.company_id = company and 'operator:' || o.num = who and o.disabled_at is null)
            when 'customer' then who ~ '^customer:[1-9][0-9]{0,17}$'
            when 'cli' then session_user = 'penstock_admin' and who ~ '^cli:[a-z0-9._-]{1,64}$'
            else false end
    $$;

-- Writes a request once: true now, false when this id was there before. It is carried out within a second.
create function control.submit_request(company integer, request uuid, point bigint, wanted_action text, who text, why text,
                                       until timestamptz, at timestamptz) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if not coalesce(control.is_person(company, who), false) then
        raise exception 'nobody is called %', who using errcode = '42501';
    end if;
    if not exists (select from core.usage_point u where u.company_id = company and u.num = point) then
        raise exception 'no usage point % in this company', point using errcode = 'no_data_found';
    end if;
    insert into control.request (company_id, id, usage_point_num, action, requested_by, reason, until_at, requested_at)
    values (company, request, point, wanted_action, who, why, until, at)
    on conflict on constraint request_company_id_id_pk do nothing;
    return found;
end $$;

-- One command on several points. Switching off, and what takes a protection away, wants a second person from the number
-- of points on that the strictest policy among them says; anything else is approved at once. Answers the hash to show.
create function control.propose_batch(company integer, batch uuid, wanted_action text, wanted_points bigint[], who text, why text,
                                      until timestamptz, at timestamptz)
    returns table (list_sha256 bytea, needs_second boolean)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    list bigint[] := array(select distinct p from unnest(wanted_points) p order by p);
    hash bytea := sha256(convert_to(wanted_action || ':' || list::text, 'UTF8'));
    is_many boolean;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if not coalesce(control.is_person(company, who), false) or who like 'customer:%' then
        raise exception '% proposes no command on several points', who using errcode = '42501';
    end if;
    if (select count(*) from core.usage_point u where u.company_id = company and u.num = any(list)) <> cardinality(list) then
        raise exception 'not all of these are usage points of this company' using errcode = 'no_data_found';
    end if;
    is_many := wanted_action in ('off', 'release_force_on', 'resume_prepaid')
        and cardinality(list) >= (select min((control.policy_of(company, u.property_num, u.num)).two_persons_from)
                                  from core.usage_point u where u.company_id = company and u.num = any(list));
    insert into control.batch (company_id, id, action, points, list_sha256, reason, until_at, proposed_by, proposed_at, expires_at,
                               needs_second, state, decided_at)
    values (company, batch, wanted_action, list, hash, why, until, who, at, at + interval '15 minutes', is_many,
            case when is_many then 'proposed' else 'approved' end, case when is_many then null else at end);
    if not is_many then
        insert into control.request (company_id, id, usage_point_num, action, requested_by, reason, until_at, batch_id, requested_at)
        select company, gen_random_uuid(), p, wanted_action, who, why, until, batch, at from unnest(list) p order by p;
    end if;
    return query select hash, is_many;
end $$;

-- The second person's word on exactly the list whose hash he was shown. Answers approved, rejected, or why not: unknown,
-- decided, expired, same_person, other_list.
create function control.decide_batch(company integer, batch uuid, shown_sha256 bytea, is_approved boolean, who text, at timestamptz)
    returns text
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    asked control.batch;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if not coalesce(control.is_person(company, who), false) or who like 'customer:%' or is_approved is null then
        raise exception '% decides on no command on several points', who using errcode = '42501';
    end if;
    select b.* into asked from control.batch b where b.company_id = company and b.id = batch for update;
    if not found then
        return 'unknown';
    elsif asked.state <> 'proposed' then
        return 'decided';
    elsif at is null or at > asked.expires_at then
        update control.batch b set state = 'expired' where b.company_id = company and b.id = batch;
        return 'expired';
    elsif asked.list_sha256 is distinct from shown_sha256 then
        return 'other_list';
    elsif is_approved and who = asked.proposed_by then
        return 'same_person';
    end if;
    update control.batch b
    set state = case when is_approved then 'approved' else 'rejected' end, decided_by = who, decided_at = at
    where b.company_id = company and b.id = batch;
    if not is_approved then
        return 'rejected';
    end if;
    insert into control.request (company_id, id, usage_point_num, action, requested_by, approved_by, reason, until_at, batch_id, requested_at)
    select company, gen_random_uuid(), p, asked.action, asked.proposed_by, who, asked.reason, asked.until_at, batch, at
    from unnest(asked.points) p order by p;
    return 'approved';
end $$;

-- Two persons release a freeze. Answers first (one more is needed), released, same_person, or unknown.
create function control.release_freeze(company integer, freeze_num bigint, who text, at timestamptz) returns text
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    frozen control.freeze;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if not coalesce(control.is_person(company, who), false) or who like 'customer:%' or at is null then
        raise exception '% releases no freeze', who using errcode = '42501';
    end if;
    select z.* into frozen from control.freeze z
    where z.company_id = company and z.num = freeze_num and z.released_at is null for update;
    if not found then
        return 'unknown';
    elsif frozen.first_by = who then
        return 'same_person';
    elsif frozen.first_by is null then
        update control.freeze z set first_by = who, first_at = at where z.company_id = company and z.num = freeze_num;
        return 'first';
    end if;
    update control.freeze z set released_by = who, released_at = at where z.company_id = company and z.num = freeze_num;
    update control.desired d set watch_at = at
    from (select w.usage_point_num from control.desired w
          where w.company_id = company and w.waits_for in ('frozen', 'limiter') order by w.usage_point_num for update) due
    where d.company_id = company and d.usage_point_num = due.usage_point_num;
    return 'released';
end $$;

do $$
declare
    one record;
begin
    for one in
        select * from (values
            ('core.is_cut_windows(jsonb)', 'penstock_owner', 'penstock_api, penstock_admin'),
            ('core.is_switching_schedule(jsonb)', 'penstock_owner', 'penstock_api, penstock_admin'),
            ('control.policy_of(integer, bigint, bigint)', 'penstock_owner', 'penstock_api, penstock_admin, penstock_door'),
            ('control.refusal_of(control.switch_facts)', 'penstock_owner', 'penstock_control, penstock_door'),
            ('control.day_kind(integer, bigint, text, date)', 'penstock_owner', 'penstock_door, penstock_api'),
            ('control.is_in_window(integer, bigint, text, jsonb, timestamp)', 'penstock_owner', 'penstock_door, penstock_api'),
            ('control.next_window(integer, bigint, text, text, jsonb, timestamptz)', 'penstock_owner', 'penstock_door, penstock_api'),
            ('control.scheduled_state(jsonb, timestamp)', 'penstock_owner', 'penstock_door'),
            ('control.tariff_changed_at(integer, bigint, bigint, text, timestamptz)', 'penstock_owner', 'penstock_door'),
            ('control.is_person(integer, text)', 'penstock_owner', 'penstock_door'),
            ('control.facts_of(integer, bigint, text, bigint, text, uuid, timestamptz)', 'penstock_door', 'penstock_control'),
            ('control.open_point(integer, bigint, timestamptz)', 'penstock_door', 'penstock_control'),
            ('control.points_of_purse(integer, bigint, bigint, timestamptz)', 'penstock_door', 'penstock_control'),
            ('control.point_of_channel(integer, bigint, timestamptz)', 'penstock_door', 'penstock_control'),
            ('control.unwatched_points(integer, timestamptz, integer)', 'penstock_door', 'penstock_control'),
            ('control.wake_read(integer, timestamptz)', 'penstock_door', 'penstock_control'),
            ('control.sync_parameters(integer, timestamptz)', 'penstock_door', 'penstock_control'),
            ('control.has_changed(integer, bigint)', 'penstock_door', 'penstock_control'),
            ('control.claim_switch_off(integer, uuid, timestamptz)', 'penstock_door', 'penstock_ingest'),
            ('control.submit_request(integer, uuid, bigint, text, text, text, timestamptz, timestamptz)', 'penstock_door',
             'penstock_api, penstock_admin, penstock_control'),
            ('control.propose_batch(integer, uuid, text, bigint[], text, text, timestamptz, timestamptz)', 'penstock_door', 'penstock_api, penstock_admin'),
            ('control.decide_batch(integer, uuid, bytea, boolean, text, timestamptz)', 'penstock_door', 'penstock_api, penstock_admin'),
            ('control.release_freeze(integer, bigint, text, timestamptz)', 'penstock_door', 'penstock_api, penstock_admin')
        ) as f (signature, owner, callers)
    loop
        execute format('alter function %s owner to %I', one.signature, one.owner);
        execute format('grant execute on function %s to %s', one.signature, one.callers);
    end loop;
end $$;
