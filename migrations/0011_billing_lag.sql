-- How far billing is behind, told with each beat: what ingest looks at to take in no more than can be billed in time.

-- Age of the oldest unclaimed block this worker saw at its last look, in ms; 0 when all is claimed.
alter table billing.replica add column lag_ms bigint not null default 0;
grant usage on schema billing to penstock_ingest;
grant select on billing.replica to penstock_ingest;
