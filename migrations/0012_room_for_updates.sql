-- One transaction of billing updates every row of a page: half of the page must be free, so that the new versions stay
-- on it and no index is touched.
alter table billing.point set (fillfactor = 45);
alter table billing.purse set (fillfactor = 45);
