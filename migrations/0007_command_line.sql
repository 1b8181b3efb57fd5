-- What the command line needs beyond reading: imported history goes into the journal like any reading, and the audit
-- trail tells whether a demo was loaded before.
grant insert on ingest.reading_block to penstock_admin;
grant select on core.audit to penstock_admin;
