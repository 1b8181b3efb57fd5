-- alerts: who is told what, by which channels; what was sent and what became of it.

-- Where a customer can be reached; the address of kind 'wechat' is an openid. opted_out names kinds of alerts he does
-- not want; bad_since is set when a channel says that the address reaches nobody.
create table core.customer_contact (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    customer_num bigint not null,
    channel text not null,
    address text not null,
    locale text not null default 'zh-CN',
    opted_out text[] not null default '{}',
    verified_at timestamptz,
    bad_since timestamptz,
    change_seq bigint not null default 0,
    constraint customer_contact_company_id_num_pk primary key (company_id, num),
    constraint customer_contact_company_id_id_uq unique (company_id, id),
    constraint customer_contact_customer_num_channel_address_uq unique (company_id, customer_num, channel, address),
    constraint customer_contact_customer_num_fk foreign key (company_id, customer_num) references core.customer (company_id, num),
    constraint customer_contact_channel_ck check (channel in ('sms', 'mail', 'wechat', 'webhook')),
    constraint customer_contact_address_ck check (length(address) between 3 and 500)
);

-- Operators who are told; property_num NULL is every property. kinds '{}' is every kind meant for operators.
create table core.alert_recipient (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint,
    name text not null,
    channel text not null,
    address text not null,
    locale text not null default 'zh-CN',
    kinds text[] not null default '{}',
    disabled_at timestamptz,
    change_seq bigint not null default 0,
    constraint alert_recipient_company_id_num_pk primary key (company_id, num),
    constraint alert_recipient_company_id_id_uq unique (company_id, id),
    constraint alert_recipient_company_id_fk foreign key (company_id) references core.company (company_id),
    constraint alert_recipient_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint alert_recipient_channel_ck check (channel in ('sms', 'mail', 'wechat', 'webhook'))
);

-- What is told and how, where it differs from the platform's defaults: of the company, of a property, of an account; the
-- narrowest wins, whole. Quiet hours are local times of the property; a rule without them has none.
create table core.alert_rule (
    company_id integer not null,
    num bigint generated always as identity,
    property_num bigint,
    account_num bigint,
    kind text not null,
    is_enabled boolean not null default true,
    chain text[] not null,
    quiet_from time,
    quiet_to time,
    per_day_max smallint not null default 10,
    days_left smallint,
    change_seq bigint not null default 0,
    constraint alert_rule_company_id_num_pk primary key (company_id, num),
    constraint alert_rule_company_id_fk foreign key (company_id) references core.company (company_id),
    constraint alert_rule_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint alert_rule_account_num_fk foreign key (company_id, account_num) references core.account (company_id, num),
    constraint alert_rule_scope_ck check (property_num is null or account_num is null),
    constraint alert_rule_chain_ck check (cardinality(chain) between 1 and 4 and chain <@ array['sms', 'mail', 'wechat', 'webhook']),
    constraint alert_rule_quiet_ck check ((quiet_from is null) = (quiet_to is null)),
    constraint alert_rule_per_day_max_ck check (per_day_max between 1 and 1000),
    constraint alert_rule_days_left_ck check (days_left between 1 and 365)
);
create unique index alert_rule_company_id_scope_kind_uq on core.alert_rule (company_id, coalesce(property_num, 0), coalesce(account_num, 0), kind);

-- A company's account with a provider of a channel. config_sealed is JSON whose shape the channel knows.
create table core.channel_account (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    channel text not null,
    provider text not null,
    config_sealed bytea not null,
    receipt_path text not null,
    cost_micro bigint not null default 0,
    month_cap_micro bigint,
    disabled_at timestamptz,
    change_seq bigint not null default 0,
    constraint channel_account_company_id_num_pk primary key (company_id, num),
    constraint channel_account_company_id_id_uq unique (company_id, id),
    constraint channel_account_receipt_path_uq unique (receipt_path),
    constraint channel_account_company_id_fk foreign key (company_id) references core.company (company_id),
    constraint channel_account_channel_ck check (channel in ('sms', 'mail', 'wechat', 'webhook')),
    constraint channel_account_receipt_path_ck check (receipt_path ~ '^[A-Za-z0-9_-]{24,64}$'),
    constraint channel_account_cost_ck check (cost_micro >= 0 and month_cap_micro >= 0)
);
create unique index channel_account_company_id_channel_uq on core.channel_account (company_id, channel) where disabled_at is null;

-- A company's own words for a kind; subject and body hold {names}. provider_template is the code of a template that a
-- provider has approved, its parameters named by `parameters` in the provider's order.
create table core.message_template (
    company_id integer not null,
    num bigint generated always as identity,
    kind text not null,
    channel text not null,
    locale text not null,
    subject text not null default '',
    body text not null default '',
    provider_template text,
    parameters text[] not null default '{}',
    change_seq bigint not null default 0,
    constraint message_template_company_id_num_pk primary key (company_id, num),
    constraint message_template_company_id_kind_channel_locale_uq unique (company_id, kind, channel, locale),
    constraint message_template_company_id_fk foreign key (company_id) references core.company (company_id)
);

-- Something that is the case since opened_at. One episode a (kind, subject) at a time; what happens again touches it.
create table alerts.episode (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    kind text not null,
    subject_num bigint not null,
    property_num bigint,
    account_num bigint,
    place_num bigint,
    version bigint not null,
    opened_at timestamptz not null,
    touched_at timestamptz not null,
    touches integer not null default 1,
    closes_at timestamptz,  -- it is over, and closes unless it happens again before
    closed_at timestamptz,
    acknowledged_by bigint,
    acknowledged_at timestamptz,
    detail jsonb not null default '{}',
    constraint episode_company_id_num_pk primary key (company_id, num),
    constraint episode_company_id_id_uq unique (company_id, id),
    constraint episode_closed_at_ck check (closed_at >= opened_at)
);
create unique index episode_company_id_kind_subject_num_open_uq on alerts.episode (company_id, kind, subject_num) where closed_at is null;
create index episode_company_id_opened_at_ix on alerts.episode (company_id, opened_at);

-- One message to one address, through the chain of channels that may carry it. state: queued (until next_at), sending
-- (being handed over; after its lease nobody knows), accepted by the provider, delivered, unknown (handed over without
-- an answer: never blindly sent again), failed, suppressed (never sent, and why). Only purposes that must be secret are
-- sealed: a log-in code is in body_sealed and nowhere else.
create table alerts.message (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    episode_num bigint,
    kind text not null,
    property_num bigint,
    account_num bigint,
    customer_num bigint,
    purse_num bigint,
    level smallint,
    channel text not null,
    address text not null,
    locale text not null,
    chain text[] not null default '{}',
    subject text not null,
    body text not null,
    body_sealed bytea,
    parameters jsonb not null default '{}',
    state text not null,
    reason text,
    provider_id text,
    attempts smallint not null default 0,
    queued_at timestamptz not null,
    next_at timestamptz not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    ended_at timestamptz,
    cost_micro bigint not null default 0,
    constraint message_company_id_num_pk primary key (company_id, num),
    constraint message_company_id_id_uq unique (company_id, id),
    constraint message_episode_num_fk foreign key (company_id, episode_num) references alerts.episode (company_id, num),
    constraint message_state_ck check (state in ('queued', 'sending', 'accepted', 'delivered', 'unknown', 'failed', 'suppressed'))
);
create index message_next_at_ix on alerts.message (next_at) where state in ('queued', 'sending', 'unknown', 'accepted');
create index message_company_id_account_num_ix on alerts.message (company_id, account_num, queued_at);
create index message_company_id_address_queued_at_ix on alerts.message (company_id, address, queued_at);
create index message_provider_id_ix on alerts.message (company_id, provider_id) where provider_id is not null;

-- A receipt that came before the answer of its message was stored waits here for a day.
create table alerts.receipt (
    company_id integer not null,
    num bigint generated always as identity,
    channel text not null,
    provider_id text not null,
    address text not null,
    is_delivered boolean not null,
    reason text,
    at timestamptz not null,
    received_at timestamptz not null,
    constraint receipt_company_id_num_pk primary key (company_id, num)
);
create index receipt_company_id_provider_id_ix on alerts.receipt (company_id, provider_id);

-- The newest warning of each level that reached somebody; control asks here before it switches off.
create table alerts.delivered_warning (
    company_id integer not null,
    purse_num bigint not null,
    level smallint not null,
    delivered_at timestamptz not null,
    message_id uuid,
    noted_by bigint,
    constraint delivered_warning_company_id_purse_num_level_pk primary key (company_id, purse_num, level),
    constraint delivered_warning_level_ck check (level between 1 and 3)
);

-- What the messages of a month cost, against the cap of the channel's account.
create table alerts.cost (
    company_id integer not null,
    channel text not null,
    month date not null,
    messages bigint not null,
    cost_micro bigint not null,
    constraint cost_company_id_channel_month_pk primary key (company_id, channel, month)
);

-- A channel's account that refuses everybody (credentials, arrears, quota) rests until open_until.
create table alerts.breaker (
    company_id integer not null,
    channel text not null,
    open_until timestamptz not null,
    failures integer not null,
    reason text not null,
    constraint breaker_company_id_channel_pk primary key (company_id, channel)
);

-- What a channel must keep between messages for all replicas, such as a token; renewed by one of them at a time.
create table alerts.token (
    company_id integer not null,
    channel text not null,
    key text not null,
    value_sealed bytea,
    expires_at timestamptz,
    renewing_until timestamptz,
    constraint token_company_id_channel_key_pk primary key (company_id, channel, key)
);

do $$
declare
    name text;
begin
    foreach name in array array['customer_contact', 'alert_recipient', 'alert_rule', 'channel_account', 'message_template'] loop
        execute format('create trigger %I before insert or update on core.%I for each row execute function core.touch()', name || '_touch', name);
        perform penstock.protect(format('core.%I', name)::regclass, array['penstock_alerts']);
        execute format('grant select, insert, update on core.%I to penstock_admin, penstock_api', name);
        execute format('grant select on core.%I to penstock_alerts', name);
    end loop;
    foreach name in array array['episode', 'message', 'receipt', 'delivered_warning', 'cost', 'breaker'] loop
        perform penstock.protect(format('alerts.%I', name)::regclass, array['penstock_alerts']);
        execute format('grant select, insert, update, delete on alerts.%I to penstock_alerts', name);
        execute format('grant select on alerts.%I to penstock_admin, penstock_api', name);
    end loop;
end $$;
select penstock.protect('alerts.token', array['penstock_alerts']);
grant select, insert, update on alerts.token to penstock_alerts;
-- An address that reaches nobody is marked where it stands.
grant update (bad_since, change_seq) on core.customer_contact to penstock_alerts;
grant select, insert, update on core.change_seq to penstock_alerts;
create policy change_seq_alerts on core.change_seq to penstock_alerts using (true) with check (true);
-- Operators acknowledge an episode and record a notice given by hand.
grant update (acknowledged_by, acknowledged_at) on alerts.episode to penstock_api;
grant insert, update on alerts.delivered_warning to penstock_api;
create policy delivered_warning_control on alerts.delivered_warning for select to penstock_control using (true);
grant select on alerts.delivered_warning to penstock_control, penstock_door;

-- What a message needs to know: who holds what, and where.
do $$
declare
    name text;
begin
    foreach name in array array['company', 'property', 'place', 'customer', 'agreement', 'agreement_room', 'account', 'purse', 'usage_point',
                                'usage_point_account', 'gateway', 'meter', 'channel', 'channel_installation'] loop
        execute format('create policy %I on core.%I for select to penstock_alerts using (true)', name || '_alerts', name);
        execute format('grant select on core.%I to penstock_alerts', name);
    end loop;
    foreach name in array array['purse', 'day'] loop
        execute format('create policy %I on billing.%I for select to penstock_alerts using (true)', name || '_alerts', name);
        execute format('grant select on billing.%I to penstock_alerts', name);
    end loop;
end $$;
