-- Makes the monthly partitions of packed days alone: imported history and late readings reach back further than the
-- partitions that are made ahead. Idempotent; refuses more than ten years.
create function penstock.ensure_day_months(from_day date, to_day date) returns integer
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    made integer := 0;
    low date := date_trunc('month', from_day)::date;
    high date;
    leaf text;
begin
    if from_day is null or to_day is null or to_day > from_day + 3660 then
        raise exception 'no such range of days' using errcode = '22023';
    end if;
    while low <= to_day loop
        high := (low + interval '1 month')::date;
        leaf := 'day_' || to_char(low, 'YYYYMM');
        if to_regclass(format('billing.%I', leaf)) is null then
            execute format('create table billing.%I partition of billing.day for values from (%L) to (%L)', leaf, low, high);
            made := made + 1;
        end if;
        low := high;
    end loop;
    return made;
end $$;
alter function penstock.ensure_day_months(date, date) owner to penstock_owner;
grant execute on function penstock.ensure_day_months(date, date) to penstock_billing, penstock_admin;
