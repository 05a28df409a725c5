-- Folding: moves the tail and the noted changes into the rollups, in parts. Called by maintain().

-- In READ COMMITTED every statement has a snapshot that is newer than the locks taken before it. An older
-- snapshot could show outdated rows, and a sequence set from them would keep its value even after a rollback.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.demand_read_committed()
RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'upkeep of the rollups needs isolation level READ COMMITTED, not %',
      upper(current_setting('transaction_isolation'));
  END IF;
END
$body$;

-- Blocks TRUNCATE and ALTER TABLE until the transaction ends, with the lock that every reader takes: a
-- snapshot gives no protection from them (PostgreSQL's manual, MVCC, "Caveats"). LOCK TABLE would need a
-- right on the whole table, and the keeper has rights on some columns only.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.hold_tokens()
RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
  PERFORM t.created_at FROM public.tokens AS t LIMIT 0;
END
$body$;

-- Lets one session at a time change the rollups; returns false when another session has the lock. The lock
-- is on a table of ours: unlike an advisory lock, only a role with rights on the table can take it.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.lock_rollups()
RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '100ms'
AS $body$
BEGIN
  LOCK TABLE coworking_analytics.rollup_state IN SHARE UPDATE EXCLUSIVE MODE;
  RETURN true;
EXCEPTION
  WHEN lock_not_available THEN
    RETURN false;
END
$body$;

-- The id at which the tail begins when this many of the newest tokens stay in it.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.first_kept_back(kept_back integer)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $body$
BEGIN
  RETURN coalesce((SELECT least(t.id, 9223372036854775806) + 1
                     FROM public.tokens AS t
                    ORDER BY t.id DESC
                   OFFSET kept_back
                    LIMIT 1), 0);
END
$body$;

-- Folds at most that many changes and tokens, and returns how many it folded: none while another session
-- folds or tokens is locked. The newest tokens stay in the tail, since they are the likeliest to change.
--
-- folded_to may pass a token only when every transaction that wrote it either is visible in the snapshot
-- or has noted its change:
--  1. A call raises noted_to. It is a sequence, so writers see the new value at once.
--  2. The next call stores its own transaction id as noted_since. Writers with a later id have seen the
--     new value.
--  3. Once no earlier transaction is running (noted_since <= the snapshot's xmin), folded_to moves up to
--     noted_to.
-- A rebuild need not wait: it ends at rebuild_to, and writers have noted every change below that since
-- before the rebuild began.
--
-- A rollback does not undo what a failed call did to the sequence:
--  * When the sequence and the table differ, the steps start over.
--  * The sequence is lowered, when writers note more than they need to, only while the table has no
--    noted_since. Otherwise one failed call could lower it and another raise it back to the table's value,
--    and the fold would miss writers that saw the lower value in between.
--  * When the calling transaction has already written, it has an earlier id and may itself have moved
--    folded_to. It then stores no noted_since and does not lower the sequence.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.fold(most bigint, kept_back integer DEFAULT 1000)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET lock_timeout = '100ms'
AS $body$
DECLARE
  has_written boolean := pg_current_xact_id_if_assigned() IS NOT NULL;
  may_go_back boolean;
  before coworking_analytics.rollup_state;
  state coworking_analytics.rollup_state;
  target bigint;
  last_target bigint;
  folded bigint := 0;
BEGIN
  PERFORM coworking_analytics_keeper.demand_read_committed();
  IF NOT EXISTS (SELECT FROM coworking_analytics.unchanged_basis()) OR NOT coworking_analytics_keeper.lock_rollups() THEN
    RETURN 0;
  END IF;
  BEGIN
    PERFORM coworking_analytics_keeper.hold_tokens();
  EXCEPTION
    WHEN lock_not_available THEN
      RETURN 0; -- somebody is changing the table: a later call folds
  END;
  IF NOT EXISTS (SELECT FROM coworking_analytics.unchanged_basis()) THEN
    RETURN 0; -- the table changed before the lock was granted
  END IF;
  SELECT * INTO STRICT state FROM coworking_analytics.rollup_state;
  before := state;
  may_go_back := state.noted_since IS NULL AND state.is_complete;
  IF state.noted_to <> pg_sequence_last_value('coworking_analytics.noted_to') THEN
    state.noted_to := pg_sequence_last_value('coworking_analytics.noted_to');
    state.noted_since := NULL;
  END IF;
  last_target := greatest(coworking_analytics_keeper.first_kept_back(kept_back), state.folded_to);
  IF NOT has_written AND state.noted_to > last_target THEN
    IF may_go_back THEN
      state.noted_to := setval('coworking_analytics.noted_to', last_target);
    END IF;
    state.noted_since := NULL;
  ELSIF NOT has_written AND state.noted_since IS NULL THEN
    state.noted_since := pg_current_xact_id();
  END IF;
  target := CASE WHEN NOT state.is_complete THEN state.rebuild_to
                 WHEN state.noted_since <= pg_snapshot_xmin(pg_current_snapshot()) THEN state.noted_to
                 ELSE state.folded_to END;
  WITH noted AS MATERIALIZED (
    DELETE FROM coworking_analytics.token_changes
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM coworking_analytics.token_changes WHERE id < state.folded_to LIMIT most))
    RETURNING CASE WHEN relation = state.relation THEN change ELSE 0 END AS change, user_id, created_at, used_at
  ), next AS MATERIALIZED (
    SELECT most - count(*) AS room FROM noted
  ), bound AS MATERIALIZED (
    SELECT coalesce((SELECT t.id
                       FROM ONLY public.tokens AS t
                      WHERE t.id >= state.folded_to
                        AND t.id < target
                      ORDER BY t.id
                     OFFSET (SELECT room FROM next)
                      LIMIT 1), target) AS id
  ), needless AS (
    DELETE FROM coworking_analytics.token_changes
     WHERE id >= state.folded_to
       AND id < (SELECT id FROM bound)
       AND state.folded_to < (SELECT id FROM bound)
  ), taken AS NOT MATERIALIZED (
    SELECT change, user_id, created_at, used_at FROM noted WHERE change <> 0
    UNION ALL
    SELECT 1, t.user_id::bigint, t.created_at, t.used_at
      FROM ONLY public.tokens AS t
     WHERE t.id >= state.folded_to
       AND t.id < (SELECT id FROM bound)
  ), days AS (
    INSERT INTO coworking_analytics.daily_tokens AS d
    SELECT m.date, sum(m.requested), sum(m.used), sum(m.used_before_request),
           sum(m.within_5_minutes), sum(m.within_15_minutes), sum(m.within_60_minutes)
      FROM taken AS t
     CROSS JOIN LATERAL coworking_analytics.day_measures(t.change, t.created_at, t.used_at) AS m
     GROUP BY 1
     ORDER BY 1
        ON CONFLICT (date) DO UPDATE
       SET requested = d.requested + excluded.requested,
           used = d.used + excluded.used,
           used_before_request = d.used_before_request + excluded.used_before_request,
           within_5_minutes = d.within_5_minutes + excluded.within_5_minutes,
           within_15_minutes = d.within_15_minutes + excluded.within_15_minutes,
           within_60_minutes = d.within_60_minutes + excluded.within_60_minutes
  ), hours AS (
    INSERT INTO coworking_analytics.hourly_visits AS h
    SELECT date_trunc('hour', t.created_at), sum(t.change)
      FROM taken AS t
     WHERE t.used_at IS NOT NULL
     GROUP BY 1
    HAVING sum(t.change) <> 0
     ORDER BY 1
        ON CONFLICT (hour) DO UPDATE
       SET visits = h.visits + excluded.visits
  ), users AS (
    INSERT INTO coworking_analytics.user_tokens AS u
    SELECT t.user_id, sum(t.change)
      FROM taken AS t
     GROUP BY 1
    HAVING sum(t.change) <> 0
     ORDER BY 1
        ON CONFLICT (user_id) DO UPDATE
       SET tokens = u.tokens + excluded.tokens
  )
  SELECT b.id, (SELECT count(*) FROM noted) + (SELECT count(*)
                                                 FROM ONLY public.tokens AS t
                                                WHERE t.id >= state.folded_to
                                                  AND t.id < b.id)
    INTO state.folded_to, folded
    FROM bound AS b;
  state.is_complete := state.is_complete OR state.folded_to = state.rebuild_to;
  IF state.is_complete AND state.folded_to = state.noted_to AND state.noted_to < last_target THEN
    state.noted_to := setval('coworking_analytics.noted_to', last_target);
    state.noted_since := NULL;
  END IF;
  UPDATE coworking_analytics.rollup_state AS s
     SET is_complete = state.is_complete, folded_to = state.folded_to,
         noted_to = state.noted_to, noted_since = state.noted_since
   WHERE state IS DISTINCT FROM before;
  RETURN folded;
END
$body$;
