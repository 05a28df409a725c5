-- Upkeep: the one function that the logger and the migration call.

-- Whether the last migration ran with ROLLUPS=on. It is off where nobody may put a trigger on tokens.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.wants_rollups()
RETURNS boolean
LANGUAGE sql STABLE
AS $body$
  SELECT nullif(split_part(obj_description('coworking_analytics'::regnamespace, 'pg_namespace'), E'\n', 2), '')::jsonb
           ->> 'rollups' IS NOT DISTINCT FROM 'on'
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics_keeper.remove_rollups()
RETURNS void
LANGUAGE sql
AS $body$
  DELETE FROM coworking_analytics.token_changes;
  DELETE FROM coworking_analytics.daily_tokens;
  DELETE FROM coworking_analytics.hourly_visits;
  DELETE FROM coworking_analytics.user_tokens;
  DELETE FROM coworking_analytics.rollup_state;
$body$;

-- How many tokens and changes reports read besides the rollups, up to 200,000 of each. The last 1,000
-- tokens, which are never folded, do not count.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.count_unfolded()
RETURNS bigint
LANGUAGE sql STABLE
AS $body$
  SELECT greatest(0, (SELECT count(*)
                        FROM (SELECT
                                FROM public.tokens AS t
                               WHERE t.id BETWEEN (SELECT s.folded_to FROM coworking_analytics.rollup_state AS s)
                                              AND 9223372036854775807
                               LIMIT 201000) AS tail) - 1000)
         + (SELECT count(*) FROM (SELECT FROM coworking_analytics.changes_to_fold() LIMIT 200000) AS changes)
$body$;

-- Does the next piece of upkeep in one short transaction, and returns the state of the rollups:
--   rollups: on; off; rebuilding (reports read tokens); set aside (reports read tokens until a migration:
--     the trigger is missing, or a column has a type that rollups do not support)
--   folded: tokens and changes that this call folded
--   behind: tokens and changes that are still to be folded
--   rebuilt: how far a rebuild has come, in percent
--   drift: rows that differed in the last comparison with tokens; NULL two minutes after it
--   next: what is left to do: nothing; more, which the next call does; or something long, which only a
--     patient call does
-- Of several concurrent callers one does the work, and the others report its progress.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.maintain(is_patient boolean DEFAULT false)
RETURNS TABLE (rollups text, folded bigint, behind bigint, rebuilt integer, drift bigint, next text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET lock_timeout = '100ms'
AS $body$
DECLARE
  part CONSTANT bigint := 50000;
  rebuilt_part CONSTANT bigint := 20000000; -- with smaller parts user_tokens would bloat
  before coworking_analytics.rollup_state;
  state coworking_analytics.rollup_state;
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE read_only_sql_transaction USING MESSAGE = 'this server is a standby: call maintain() on the primary';
  END IF;
  PERFORM coworking_analytics_keeper.demand_read_committed();
  folded := 0;
  next := 'nothing';
  IF NOT coworking_analytics_keeper.wants_rollups() THEN
    rollups := 'off';
    IF EXISTS (SELECT FROM coworking_analytics.rollup_state) AND coworking_analytics_keeper.lock_rollups() THEN
      PERFORM coworking_analytics_keeper.remove_rollups();
    END IF;
    RETURN NEXT;
    RETURN;
  END IF;

  SELECT * INTO before FROM coworking_analytics.rollup_state;
  IF NOT EXISTS (SELECT FROM coworking_analytics.unchanged_basis()) THEN
    IF EXISTS (SELECT FROM coworking_analytics.basis()) AND coworking_analytics_keeper.lock_rollups() THEN
      PERFORM coworking_analytics_keeper.start_rebuild()
        WHERE NOT EXISTS (SELECT FROM coworking_analytics.unchanged_basis()); -- unless another session just did
    END IF;
  ELSIF before.is_complete THEN
    folded := coworking_analytics_keeper.fold(part);
    IF is_patient AND folded < part AND coworking_analytics_keeper.inspection_is_due() THEN
      PERFORM coworking_analytics_keeper.inspect();
    END IF;
  ELSIF is_patient THEN
    PERFORM coworking_analytics_keeper.go_on_rebuilding(rebuilt_part);
  END IF;

  SELECT * INTO state FROM coworking_analytics.rollup_state;
  IF NOT EXISTS (SELECT FROM coworking_analytics.basis()) THEN
    rollups := 'set aside';
  ELSIF NOT EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) THEN
    rollups := 'rebuilding';
    rebuilt := coworking_analytics_keeper.rebuilt_percent();
    next := 'something long';
  ELSE
    rollups := 'on';
    behind := coworking_analytics_keeper.count_unfolded();
    -- Nothing was folded but noted_to or noted_since changed: the next call may be able to fold.
    next := CASE WHEN folded = part OR folded = 0 AND state IS DISTINCT FROM before THEN 'more'
                 WHEN coworking_analytics_keeper.inspection_is_due() THEN 'something long'
                 ELSE next END;
  END IF;
  SELECT i.drift INTO drift
    FROM coworking_analytics.inspections AS i
   WHERE i.finished_at > now() - interval '2 minutes' AND i.drift IS NOT NULL
   ORDER BY i.started_at DESC
   LIMIT 1;
  RETURN NEXT;
END
$body$;

COMMENT ON FUNCTION coworking_analytics_keeper.maintain(boolean) IS
  'Keeps the rollups up to date: folds, rebuilds and compares with tokens, one piece per call';
