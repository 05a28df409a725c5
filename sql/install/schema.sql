-- Creates our schema, and lets one migration run at a time.
DO $body$
BEGIN
  CREATE SCHEMA coworking_analytics;
EXCEPTION
  WHEN duplicate_schema OR unique_violation THEN
    NULL; -- it exists; another migration may have created it while this one waited
END
$body$;

-- The lock is on a table of ours: unlike an advisory lock, only a role with rights on the table can take it.
DO $body$
DECLARE
  holders text;
BEGIN
  IF to_regclass('coworking_analytics.rollup_state') IS NOT NULL THEN
    LOCK TABLE coworking_analytics.rollup_state IN SHARE ROW EXCLUSIVE MODE;
  END IF;
EXCEPTION
  WHEN lock_not_available THEN
    SELECT string_agg(format('process %s (%s), since %s', l.pid, a.application_name, a.xact_start), '; ')
      INTO holders
      FROM pg_locks AS l
      LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
     WHERE l.relation = 'coworking_analytics.rollup_state'::regclass AND l.granted AND l.mode <> 'AccessShareLock';
    RAISE lock_not_available
      USING MESSAGE = format('another migration or upkeep holds coworking_analytics.rollup_state: %s', holders);
END
$body$;
