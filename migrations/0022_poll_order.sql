-- ingest: who is asked first, and how much a company may hand in.

-- Meters of customers near the end of their credit are polled first. ingest sees who is near, not how much is left.
create policy purse_ingest on billing.purse for select to penstock_ingest using (true);
grant select (num, company_id, account_num, level) on billing.purse to penstock_ingest;
grant select (company_id, usage_point_num, account_num, purse_num, from_at, to_at) on core.usage_point_account to penstock_ingest;
-- Few purses are near the end; an update that leaves the level as it is does not touch the index.
create index purse_num_near_end_ix on billing.purse (num) where level > 0;

-- What each replica of ingest was offered lately of a company that comes near its quota of readings: so they share it.
create table ingest.quota_demand (
    company_id integer not null,
    replica uuid not null,
    per_s integer not null,
    at timestamptz not null,
    constraint quota_demand_company_id_replica_pk primary key (company_id, replica),
    constraint quota_demand_per_s_ck check (per_s >= 0)
);
select penstock.protect('ingest.quota_demand', array['penstock_ingest']);
grant select, insert, update, delete on ingest.quota_demand to penstock_ingest;
grant select on ingest.quota_demand to penstock_admin;
