-- Rebuilding: empties the rollups, and fold() fills them again in parts, from the first token on. Reports
-- read tokens until it has reached rebuild_to. Writers and readers continue meanwhile.

-- Starts a rebuild on the current basis. The caller has locked the rollups.
-- rebuild_to is an id below which writers note every change: the end of the rollups before, or noted_to.
-- A dump holds tables and sequences as of different moments, so the lower of the two counts. It may come
-- from another server, with other transaction ids, so noted_since is cleared.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.start_rebuild()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
DECLARE
  lowest CONSTANT bigint := -9223372036854775808;
  highest CONSTANT bigint := 9223372036854775807;
  rebuilt_to bigint;
BEGIN
  PERFORM coworking_analytics_keeper.demand_read_committed();
  PERFORM coworking_analytics_keeper.hold_tokens() FROM coworking_analytics.basis();
  IF NOT EXISTS (SELECT FROM coworking_analytics.basis()) THEN
    RAISE EXCEPTION 'public.tokens lacks the columns or the trigger that rollups need: run make migrate';
  END IF;
  PERFORM setval('coworking_analytics.noted_to', highest)
    WHERE pg_sequence_last_value('coworking_analytics.noted_to') IS NULL;
  rebuilt_to := least(
    (SELECT CASE WHEN s.is_complete THEN s.folded_to ELSE s.rebuild_to END FROM coworking_analytics.rollup_state AS s),
    pg_sequence_last_value('coworking_analytics.noted_to'),
    coworking_analytics_keeper.first_kept_back(1000));
  DELETE FROM coworking_analytics.token_changes;
  DELETE FROM coworking_analytics.daily_tokens;
  DELETE FROM coworking_analytics.hourly_visits;
  DELETE FROM coworking_analytics.user_tokens;
  INSERT INTO coworking_analytics.rollup_state
    (relation, file, columns, trigger, is_complete, rebuild_to, folded_to, noted_to)
  SELECT b.relation, b.file, b.columns, b.trigger, false, rebuilt_to, lowest, pg_sequence_last_value('coworking_analytics.noted_to')
    FROM coworking_analytics.basis() AS b
      ON CONFLICT (is_only_row) DO UPDATE
     SET relation = excluded.relation,
         file = excluded.file,
         columns = excluded.columns,
         trigger = excluded.trigger,
         is_complete = false,
         rebuild_to = excluded.rebuild_to,
         folded_to = excluded.folded_to,
         noted_to = excluded.noted_to,
         noted_since = NULL;
END
$body$;

-- Continues a rebuild by up to that many tokens.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.go_on_rebuilding(most bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  IF coworking_analytics_keeper.fold(most) > 0 AND coworking_analytics.uses_rollups() THEN
    -- Counts as a comparison: rollups that were just built from tokens equal them.
    INSERT INTO coworking_analytics.inspections (finished_at) VALUES (clock_timestamp());
  END IF;
END
$body$;

-- How far a rebuild has come, in percent of the range of ids.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.rebuilt_percent()
RETURNS integer
LANGUAGE sql STABLE
AS $body$
  SELECT trunc(100 * greatest(0, s.folded_to - first.id) / greatest(1, s.rebuild_to - first.id))::integer
    FROM coworking_analytics.rollup_state AS s
   CROSS JOIN (SELECT coalesce(min(t.id), 0)::numeric AS id FROM public.tokens AS t) AS first
$body$;
