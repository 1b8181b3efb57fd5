-- What became of "read this meter now": the api writes the request beside its outbox row and learns the end from
-- ingest's command results.
create table api.read_request (
    company_id integer not null,
    id uuid not null,
    usage_point_num bigint not null,
    channel_num bigint not null,
    requested_by bigint not null,
    requested_at timestamptz not null,
    state text not null,
    finished_at timestamptz,
    reason text,
    constraint read_request_company_id_id_pk primary key (company_id, id),
    constraint read_request_state_ck check (state in ('queued', 'done', 'failed')),
    constraint read_request_finished_ck check ((state = 'queued') = (finished_at is null)),
    constraint read_request_reason_ck check ((state = 'failed') = (reason is not null)
        and reason in ('gateway_offline', 'meter_silent', 'bad_answer', 'no_downlink', 'expired'))
);
create index read_request_company_id_requested_at_ix on api.read_request (company_id, requested_at);
select penstock.protect('api.read_request', array['penstock_api_worker']);
grant select, insert on api.read_request to penstock_api;
grant select, update, delete on api.read_request to penstock_api_worker;
grant select on api.read_request to penstock_admin;
