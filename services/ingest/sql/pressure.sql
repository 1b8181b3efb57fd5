-- What ingest sees of billing.

-- name: billing_lag
-- Workers whose session still holds the lock of its number, and the lag of the one that is furthest behind. One that has
-- not beaten since $1 has not worked either: that time counts too.
select count(*),
       coalesce(max(r.lag_ms + (1000 * extract(epoch from greatest($1 - r.beat_at, interval '0')))::bigint), 0)::bigint
from billing.replica r
where exists (select from pg_locks l
              where l.locktype = 'advisory' and l.granted and l.classid = 7001 and l.objid = r.num and l.objsubid = 2
                and l.database = (select d.oid from pg_database d where d.datname = current_database()));
