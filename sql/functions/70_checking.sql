-- Checking: compares the rollups with tokens.

CREATE OR REPLACE FUNCTION coworking_analytics.check()
RETURNS TABLE (rollup text, key text, kept text, counted text)
LANGUAGE sql STABLE
AS $body$
  SELECT 'days', coalesce(r.date, t.date)::text, r::text, t::text
    FROM coworking_analytics.days_from_rollups() AS r
    FULL JOIN coworking_analytics.days_from_tokens() AS t ON t.date = r.date
   WHERE r IS DISTINCT FROM t
  UNION ALL
  SELECT 'hours', coalesce(r.hour, t.hour)::text, r::text, t::text
    FROM coworking_analytics.hours_from_rollups() AS r
    FULL JOIN coworking_analytics.hours_from_tokens() AS t ON t.hour = r.hour
   WHERE r IS DISTINCT FROM t
  UNION ALL
  SELECT 'users', coalesce(r.user_id, t.user_id)::text, r::text, t::text
    FROM coworking_analytics.user_tokens_from_rollups() AS r
    FULL JOIN coworking_analytics.user_tokens_from_tokens() AS t ON t.user_id = r.user_id
   WHERE r IS DISTINCT FROM t
   ORDER BY 1, 2
$body$;

COMMENT ON FUNCTION coworking_analytics.check() IS
  'One row per difference between the rollups and tokens in one snapshot; no row when they are equal';

-- Whether a comparison is due: a day after the last one that finished, an hour after one that did not.
-- The first call of inspect() records the start and commits, so that a comparison that keeps failing is
-- tried once an hour. A call within the next minute does the comparison.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.inspection_is_due()
RETURNS boolean
LANGUAGE sql STABLE
AS $body$
  SELECT NOT EXISTS (SELECT
                       FROM coworking_analytics.inspections AS i
                      WHERE i.started_at > now() - CASE WHEN i.finished_at IS NULL THEN interval '1 hour' ELSE interval '1 day' END)
         OR EXISTS (SELECT
                      FROM coworking_analytics.inspections AS i
                     WHERE i.started_at > now() - interval '1 minute'
                       AND i.finished_at IS NULL)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics_keeper.inspect()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET lock_timeout = '100ms'
AS $body$
DECLARE
  started timestamptz;
  differences bigint;
BEGIN
  LOCK TABLE coworking_analytics.inspections IN SHARE UPDATE EXCLUSIVE MODE;
  IF NOT coworking_analytics_keeper.inspection_is_due() THEN
    RETURN; -- another session has done it
  END IF;
  SELECT max(i.started_at) INTO started
    FROM coworking_analytics.inspections AS i
   WHERE i.finished_at IS NULL AND i.started_at > now() - interval '1 minute';
  IF started IS NULL THEN
    DELETE FROM coworking_analytics.inspections WHERE started_at < now() - interval '90 days';
    INSERT INTO coworking_analytics.inspections DEFAULT VALUES;
    RETURN;
  END IF;
  PERFORM coworking_analytics_keeper.hold_tokens();
  IF NOT coworking_analytics.uses_rollups() THEN
    RETURN;
  END IF;
  SELECT count(*) INTO differences FROM coworking_analytics.check();
  IF differences > 0 THEN
    IF NOT coworking_analytics_keeper.lock_rollups() THEN
      RETURN; -- another call, within the minute or in an hour, will find them again
    END IF;
    PERFORM coworking_analytics_keeper.start_rebuild();
  END IF;
  UPDATE coworking_analytics.inspections
     SET finished_at = clock_timestamp(), drift = differences
   WHERE started_at = started;
EXCEPTION
  WHEN lock_not_available THEN
    RETURN; -- another session is comparing, or tokens is locked
END
$body$;
