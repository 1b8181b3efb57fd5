-- name: probe_record
-- The probe's effect: one row of the feed for each event, numbered in order.
insert into api.event_feed (company_id, seq, type, payload, created_at)
select $1, coalesce(max(f.seq), 0) + 1, $2, $3, $4 from api.event_feed f where f.company_id = $1
