-- Rollups of the facts (0004), so that a report costs what its answer costs and not what tokens holds.
--
--   tokens from folded_to on ──────────────────────────────────────────────┐
--      │ fold(), every 30 s                                                 ├→ report
--      └→ daily_tokens, hourly_visits, user_tokens ← token_changes ─────────┘
--
-- Rollups hold the tokens whose ids are below folded_to; a report adds those that follow, which are few, as
-- it finds them. Only what changes below folded_to is noted, by a trigger, so a token that is requested and
-- soon used costs its writers next to nothing. All of it in one snapshot, so a report is exact at every
-- moment. Writers only ever append: they wait for nobody, and cannot fail to serialize, because of us.
CREATE TABLE IF NOT EXISTS coworking_analytics.token_changes (
  relation oid NOT NULL,
  change smallint NOT NULL,
  id bigint NOT NULL,
  user_id bigint,
  created_at timestamp,
  used_at timestamp
) WITH (
  autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
  vacuum_truncate = off -- writers would wait for it
);
COMMENT ON TABLE coworking_analytics.token_changes IS 'Tokens that came (1) and went (-1) below folded_to; of tables that were renamed, too';

-- Writers note what they do to tokens below this id. No table, since they have to see at once where it
-- is, whatever their snapshot. All is noted while it has no value.
CREATE SEQUENCE IF NOT EXISTS coworking_analytics.noted_to AS bigint
  MINVALUE -9223372036854775808 MAXVALUE 9223372036854775807 START 9223372036854775807;

CREATE TABLE IF NOT EXISTS coworking_analytics.fold_state (
  folded_to bigint NOT NULL,
  noted_to bigint NOT NULL,
  noted_since xid8
);
COMMENT ON TABLE coworking_analytics.fold_state IS
  'One row, made by rebuild(): where the rollups end; noted_to; and the transaction from which on all have seen the latter';

CREATE TABLE IF NOT EXISTS coworking_analytics.daily_tokens (
  date date PRIMARY KEY,
  requested integer NOT NULL,
  used integer NOT NULL,
  used_before_request integer NOT NULL,
  within_5_minutes integer NOT NULL,
  within_15_minutes integer NOT NULL,
  within_60_minutes integer NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS coworking_analytics.hourly_visits (
  hour timestamp PRIMARY KEY,
  visits integer NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS coworking_analytics.user_tokens (
  user_id bigint PRIMARY KEY,
  tokens integer NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE IF NOT EXISTS coworking_analytics.rollup_basis (
  relation oid NOT NULL,
  file oid NOT NULL,
  columns text[] NOT NULL,
  trigger text NOT NULL
);
COMMENT ON TABLE coworking_analytics.rollup_basis IS 'What basis() was when the rollups were made; no row until they are';

CREATE TABLE IF NOT EXISTS coworking_analytics.inspections (
  started_at timestamptz DEFAULT clock_timestamp() PRIMARY KEY,
  finished_at timestamptz,
  drift bigint,
  rebuilt boolean
);
COMMENT ON TABLE coworking_analytics.inspections IS 'When the rollups were compared with tokens, and how many rows differed';

-- Whether the columns that rollups need have types that they can follow.
CREATE OR REPLACE FUNCTION coworking_analytics.are_known(id regtype, user_id regtype, created_at regtype, used_at regtype)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT id = ANY ('{pg_catalog.int2,pg_catalog.int4,pg_catalog.int8}'::pg_catalog.regtype[])
         AND user_id = ANY ('{pg_catalog.int2,pg_catalog.int4,pg_catalog.int8}'::pg_catalog.regtype[])
         AND created_at = 'pg_catalog.timestamp'::pg_catalog.regtype
         AND used_at = 'pg_catalog.timestamp'::pg_catalog.regtype
$body$;

-- Notes a token below noted_to that went, and one that came. Three things may be wrong with its columns:
-- One may be missing. A write must not fail because of us, so what reads them may fail; it writes nothing,
-- hence its subtransaction has no number, and costs nobody else anything.
-- One may have another type, from which a cast could be somebody's code, run with our rights: no cast is
-- made, and concat() needs none. Like a missing one, it is not what basis() asks for, so the rollups are
-- set aside.
-- One may have had another type: what plpgsql has planned for it then fails for as long as the session
-- lasts. The columns are read as they are now.
CREATE OR REPLACE FUNCTION coworking_analytics.note_change()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $body$
DECLARE
  are_known boolean;
  old_id bigint;
  old_user_id bigint;
  old_created_at timestamp;
  old_used_at timestamp;
  new_id bigint;
  new_user_id bigint;
  new_created_at timestamp;
  new_used_at timestamp;
BEGIN
  BEGIN
    IF pg_catalog.concat(least(OLD.id, NEW.id))::bigint >= pg_catalog.pg_sequence_last_value('coworking_analytics.noted_to') THEN
      RETURN NULL;
    END IF;
    IF NOT coworking_analytics.are_known(pg_catalog.pg_typeof(OLD.id), pg_catalog.pg_typeof(OLD.user_id),
                               pg_catalog.pg_typeof(OLD.created_at), pg_catalog.pg_typeof(OLD.used_at)) THEN
      RETURN NULL;
    END IF;
    old_id := OLD.id;
    old_user_id := OLD.user_id;
    old_created_at := OLD.created_at;
    old_used_at := OLD.used_at;
    new_id := NEW.id;
    new_user_id := NEW.user_id;
    new_created_at := NEW.created_at;
    new_used_at := NEW.used_at;
  EXCEPTION
    WHEN OTHERS THEN
      BEGIN
        EXECUTE 'SELECT coworking_analytics.are_known(pg_catalog.pg_typeof(($1).id), pg_catalog.pg_typeof(($1).user_id),'
                '                           pg_catalog.pg_typeof(($1).created_at), pg_catalog.pg_typeof(($1).used_at))'
           INTO are_known
          USING OLD;
        IF NOT are_known THEN
          RETURN NULL;
        END IF;
        EXECUTE 'SELECT ($1).id, ($1).user_id, ($1).created_at, ($1).used_at,'
                '       ($2).id, ($2).user_id, ($2).created_at, ($2).used_at'
           INTO old_id, old_user_id, old_created_at, old_used_at, new_id, new_user_id, new_created_at, new_used_at
          USING OLD, NEW;
      EXCEPTION
        WHEN insufficient_resources OR program_limit_exceeded THEN
          RAISE; -- as the write itself would
        WHEN OTHERS THEN
          RETURN NULL;
      END;
  END;
  INSERT INTO coworking_analytics.token_changes
  SELECT TG_RELID, c.*
    FROM (VALUES (-1, old_id, old_user_id, old_created_at, old_used_at),
                 (1, new_id, new_user_id, new_created_at, new_used_at)) AS c (change, id)
   WHERE c.id < coalesce(pg_catalog.pg_sequence_last_value('coworking_analytics.noted_to'), 9223372036854775807);
  RETURN NULL;
END
$body$;

-- One row when our trigger on tokens fires, whatever its name, and is the only one. One that was off or
-- renamed in between has another xmin.
CREATE OR REPLACE FUNCTION coworking_analytics.tokens_trigger()
RETURNS TABLE (relation oid, identity text)
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, string_agg(pg_catalog.concat_ws(' ', g.oid, g.xmin, g.tgenabled), ',')
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid
   WHERE n.nspname = 'public'
     AND c.relname = 'tokens'
     AND g.tgfoid = to_regprocedure('coworking_analytics.note_change()')
     AND g.tgenabled IN ('O', 'A')
   GROUP BY c.oid
  HAVING count(*) = 1
$body$;

-- One row while tokens is what the trigger can follow. It differs after all that changes rows without
-- firing it: TRUNCATE, a new table, a rewrite by ALTER TABLE (and by VACUUM FULL: the price of not
-- telling them apart), columns changing places or types or what may be NULL, a trigger that was off. A
-- column that was renamed in between has another xmin.
CREATE OR REPLACE FUNCTION coworking_analytics.basis()
RETURNS TABLE (relation oid, file oid, columns text[], trigger text)
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, c.relfilenode, pg_catalog.array_agg(pg_catalog.concat_ws(' ', a.attname, a.attnum, a.xmin)), g.identity
    FROM coworking_analytics.tokens_trigger() AS g
    JOIN pg_catalog.pg_class AS c ON c.oid = g.relation
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
   WHERE c.relkind = 'r'
     AND c.relam = (SELECT m.oid FROM pg_catalog.pg_am AS m WHERE m.amname = 'heap')
     AND c.relpersistence = 'p' -- a crash empties the others
     AND NOT c.relhassubclass
     AND (a.attname IN ('id', 'user_id') AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
          OR a.attname IN ('created_at', 'used_at') AND a.atttypid = 'timestamp'::regtype)
     AND (a.attnotnull OR a.attname = 'used_at')
     AND a.attgenerated <> 'v' -- no trigger sees such a value; and PostgreSQL 18 has NOT NULL that is not checked yet
     AND NOT EXISTS (SELECT
                       FROM pg_catalog.pg_constraint AS n
                      WHERE n.conrelid = c.oid
                        AND n.contype = 'n'
                        AND n.conkey = ARRAY[a.attnum]
                        AND NOT n.convalidated)
   GROUP BY c.oid, c.relfilenode, g.identity
  HAVING count(*) = 4
$body$;

-- One row while the rollups hold: their basis is still there. None while reports have to read tokens.
-- Asked with every report, so it does no more than look those rows up.
CREATE OR REPLACE FUNCTION coworking_analytics.rollups_in_force()
RETURNS TABLE (relation oid)
LANGUAGE sql STABLE
AS $body$
  SELECT b.relation
    FROM coworking_analytics.rollup_basis AS b
   WHERE EXISTS (SELECT
                   FROM pg_catalog.pg_class AS c
                  WHERE c.oid = b.relation
                    AND c.relfilenode = b.file
                    AND c.relname = 'tokens'
                    AND c.relnamespace = 'public'::regnamespace
                    AND NOT c.relhassubclass)
     AND (SELECT count(*) = 4
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = b.relation
             AND pg_catalog.concat_ws(' ', a.attname, a.attnum, a.xmin) = ANY (b.columns))
     AND EXISTS (SELECT
                   FROM pg_catalog.pg_trigger AS g
                  WHERE g.tgrelid = b.relation
                    AND pg_catalog.concat_ws(' ', g.oid, g.xmin, g.tgenabled) = b.trigger)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.is_exact()
RETURNS boolean
LANGUAGE sql STABLE
AS $body$
  SELECT EXISTS (SELECT FROM coworking_analytics.rollups_in_force())
$body$;

-- Tokens that the rollups do not hold yet. In plpgsql, which plans them by themselves: the planner takes
-- "from some id on" for a third of the table, and would choose for all of a report accordingly. With an
-- upper bound, though none is meant, it thinks of few, and so of the index.
CREATE OR REPLACE FUNCTION coworking_analytics.recent_dates()
RETURNS TABLE (created_at timestamp, used_at timestamp)
LANGUAGE plpgsql STABLE ROWS 1000
AS $body$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.created_at, t.used_at
    FROM public.tokens AS t
   WHERE t.id BETWEEN (SELECT folded_to FROM coworking_analytics.fold_state) AND 9223372036854775807;
END
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.recent_users()
RETURNS TABLE (user_id bigint)
LANGUAGE plpgsql STABLE ROWS 1000
AS $body$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.user_id::bigint
    FROM public.tokens AS t
   WHERE t.id BETWEEN (SELECT folded_to FROM coworking_analytics.fold_state) AND 9223372036854775807;
END
$body$;

-- The facts by rollup: what is folded, what changed there since, and what is recent.
CREATE OR REPLACE FUNCTION coworking_analytics.changes_to_fold()
RETURNS SETOF coworking_analytics.token_changes
LANGUAGE sql STABLE
AS $body$
  SELECT c.*
    FROM coworking_analytics.token_changes AS c
   WHERE c.id < (SELECT folded_to FROM coworking_analytics.fold_state)
     AND c.relation = (SELECT relation FROM coworking_analytics.rollup_basis)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.changed_dates()
RETURNS TABLE (change integer, created_at timestamp, used_at timestamp)
LANGUAGE sql STABLE
AS $body$
  SELECT c.change::integer, c.created_at, c.used_at
    FROM coworking_analytics.changes_to_fold() AS c
  UNION ALL
  SELECT 1, r.created_at, r.used_at
    FROM coworking_analytics.recent_dates() AS r
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.changed_users()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT c.user_id, sum(c.change)
    FROM (SELECT c.user_id, c.change::integer
            FROM coworking_analytics.changes_to_fold() AS c
          UNION ALL
          SELECT r.user_id, 1
            FROM coworking_analytics.recent_users() AS r) AS c
   GROUP BY c.user_id
$body$;

-- What a token that comes or goes is to its day.
CREATE OR REPLACE FUNCTION coworking_analytics.day_changes(change integer, created_at timestamp, used_at timestamp)
RETURNS TABLE (date date, requested integer, used integer, used_before_request integer,
               within_5_minutes integer, within_15_minutes integer, within_60_minutes integer)
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT day_changes.created_at::date,
         day_changes.change,
         CASE WHEN day_changes.used_at IS NOT NULL THEN day_changes.change ELSE 0 END,
         CASE WHEN day_changes.used_at < day_changes.created_at THEN day_changes.change ELSE 0 END,
         CASE WHEN coworking_analytics.is_within('5 minutes', day_changes.created_at, day_changes.used_at) THEN day_changes.change ELSE 0 END,
         CASE WHEN coworking_analytics.is_within('15 minutes', day_changes.created_at, day_changes.used_at) THEN day_changes.change ELSE 0 END,
         CASE WHEN coworking_analytics.is_within('60 minutes', day_changes.created_at, day_changes.used_at) THEN day_changes.change ELSE 0 END
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.days_kept()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT k.date, sum(k.requested), sum(k.used), sum(k.used_before_request),
         sum(k.within_5_minutes), sum(k.within_15_minutes), sum(k.within_60_minutes)
    FROM (SELECT d.date, d.requested, d.used, d.used_before_request,
                 d.within_5_minutes, d.within_15_minutes, d.within_60_minutes
            FROM coworking_analytics.daily_tokens AS d
          UNION ALL
          SELECT d.date, d.requested, d.used, d.used_before_request,
                 d.within_5_minutes, d.within_15_minutes, d.within_60_minutes
            FROM coworking_analytics.changed_dates() AS c
           CROSS JOIN LATERAL coworking_analytics.day_changes(c.change, c.created_at, c.used_at) AS d) AS k
   GROUP BY k.date
  HAVING sum(k.requested) <> 0
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.hours_kept()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT k.hour, sum(k.visits)
    FROM (SELECT h.hour, h.visits
            FROM coworking_analytics.hourly_visits AS h
          UNION ALL
          SELECT date_trunc('hour', c.created_at), c.change
            FROM coworking_analytics.changed_dates() AS c
           WHERE c.used_at IS NOT NULL) AS k
   GROUP BY k.hour
  HAVING sum(k.visits) <> 0
$body$;

-- Not one GROUP BY over both, as above: of many users the first could then be sent only after the last
-- was counted.
CREATE OR REPLACE FUNCTION coworking_analytics.user_tokens_kept()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT u.user_id, u.tokens + coalesce(c.tokens, 0)
     FROM coworking_analytics.user_tokens AS u
     LEFT JOIN coworking_analytics.changed_users() AS c ON c.user_id = u.user_id
    WHERE u.tokens + coalesce(c.tokens, 0) <> 0
    ORDER BY u.user_id)
  UNION ALL
  (SELECT c.user_id, c.tokens
     FROM coworking_analytics.changed_users() AS c
    WHERE NOT EXISTS (SELECT FROM coworking_analytics.user_tokens AS u WHERE u.user_id = c.user_id)
      AND c.tokens <> 0
    ORDER BY c.user_id)
$body$;

-- One of the two halves has nothing to do: its condition is looked at once, before it starts. Both
-- lock tokens, as a plain query does, so that no TRUNCATE or ALTER TABLE comes between the look and
-- the rows (of a snapshot that is older than a TRUNCATE, the plain query is no good either). Each is in
-- order by itself, so that the two are merged as they come.
CREATE OR REPLACE FUNCTION coworking_analytics.days()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM coworking_analytics.days_kept() WHERE EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM coworking_analytics.days_counted() WHERE NOT EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.hours()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM coworking_analytics.hours_kept() WHERE EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM coworking_analytics.hours_counted() WHERE NOT EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.user_tokens()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM coworking_analytics.user_tokens_kept() WHERE EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM coworking_analytics.user_tokens_counted() WHERE NOT EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
$body$;

-- The id from which on tokens are to be left as they are: that of the first of the last ones.
CREATE OR REPLACE FUNCTION coworking_analytics.first_kept_back(kept_back integer)
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

-- A snapshot that is older than a lock may show what is no longer so, and a sequence that was set
-- then stays set.
CREATE OR REPLACE FUNCTION coworking_analytics.demand_read_committed()
RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'rollups are kept in transactions that are READ COMMITTED, not %',
      upper(current_setting('transaction_isolation'));
  END IF;
END
$body$;

-- Keeps TRUNCATE and ALTER TABLE away until the transaction ends, which the next statement's snapshot
-- then needs not fear (PostgreSQL, "Caveats" of MVCC). LOCK TABLE would want a right on every column.
CREATE OR REPLACE FUNCTION coworking_analytics.hold_tokens()
RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
  PERFORM t.created_at FROM public.tokens AS t LIMIT 0;
END
$body$;

-- Moves at most that many changes and tokens into the rollups, and says how many. None while another fold
-- or a rebuild is at work, and on a standby. The last tokens, to which most is still to happen, are kept
-- back.
--
-- folded_to may pass tokens only when whoever changed them is either in the snapshot or has noted it:
--  1. A call moves noted_to on, for writers to see at once.
--  2. The next one learns a transaction that began to write after that: noted_since.
--  3. When all transactions before that one have ended, folded_to follows, up to noted_to.
-- A sequence knows no rollback, so what a call does to it may be all that stays of it:
--  * Where it is not what the table says, the steps begin anew.
--  * It goes back, where writers note too much, only when the table says that noted_since is unknown:
--    else it could come to be again what the table says, with writers in between who saw it lower.
--  * A transaction that has written before may be older than a writer, and may have moved folded_to
--    itself: in one of those nothing is learned, and the sequence does not go back.
CREATE OR REPLACE FUNCTION coworking_analytics.fold(most integer, kept_back integer DEFAULT 1000)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET lock_timeout = '100ms'
AS $body$
DECLARE
  has_written boolean := pg_current_xact_id_if_assigned() IS NOT NULL;
  may_go_back boolean;
  state coworking_analytics.fold_state;
  target bigint;
  last_target bigint;
  folded bigint := 0;
BEGIN
  IF pg_is_in_recovery()
     OR NOT coworking_analytics.is_exact()
     OR NOT pg_try_advisory_xact_lock(hashtext('coworking_analytics.fold')) THEN
    RETURN 0;
  END IF;
  PERFORM coworking_analytics.demand_read_committed();
  BEGIN
    PERFORM coworking_analytics.hold_tokens();
  EXCEPTION
    WHEN lock_not_available THEN
      RETURN 0; -- somebody changes the table: later
  END;
  IF NOT coworking_analytics.is_exact() THEN
    RETURN 0; -- they were set aside before the lock was had
  END IF;
  SELECT * INTO STRICT state FROM coworking_analytics.fold_state;
  may_go_back := state.noted_since IS NULL;
  IF state.noted_to <> pg_sequence_last_value('coworking_analytics.noted_to') THEN
    state.noted_to := pg_sequence_last_value('coworking_analytics.noted_to');
    state.noted_since := NULL;
  END IF;
  last_target := greatest(coworking_analytics.first_kept_back(kept_back), state.folded_to);
  IF NOT has_written AND state.noted_to > last_target THEN
    IF may_go_back THEN
      state.noted_to := setval('coworking_analytics.noted_to', last_target);
    END IF;
    state.noted_since := NULL;
  ELSIF NOT has_written AND state.noted_since IS NULL THEN
    state.noted_since := pg_current_xact_id();
  END IF;
  target := CASE WHEN state.noted_since <= pg_snapshot_xmin(pg_current_snapshot()) THEN state.noted_to
                 ELSE state.folded_to END;
  WITH noted AS MATERIALIZED (
    DELETE FROM coworking_analytics.token_changes
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM coworking_analytics.token_changes WHERE id < state.folded_to LIMIT most))
    RETURNING CASE WHEN relation = (SELECT b.relation FROM coworking_analytics.rollup_basis AS b) THEN change ELSE 0 END AS change,
              user_id, created_at, used_at
  ), next AS MATERIALIZED (
    SELECT most - count(*) AS room FROM noted
  ), following AS MATERIALIZED (
    SELECT t.id
      FROM ONLY public.tokens AS t
     WHERE t.id >= state.folded_to
       AND t.id < target
     ORDER BY t.id
     LIMIT (SELECT room + 1 FROM next)
  ), bound AS MATERIALIZED (
    SELECT CASE WHEN count(*) > (SELECT room FROM next) THEN max(id) ELSE target END AS id FROM following
  ), needless AS (
    DELETE FROM coworking_analytics.token_changes
     WHERE id >= state.folded_to
       AND id < (SELECT id FROM bound)
       AND state.folded_to < (SELECT id FROM bound)
  ), moved AS MATERIALIZED (
    SELECT 1 AS change, t.user_id::bigint, t.created_at, t.used_at
      FROM ONLY public.tokens AS t
     WHERE t.id >= state.folded_to
       AND t.id < (SELECT id FROM bound)
  ), taken AS MATERIALIZED (
    SELECT * FROM noted WHERE change <> 0
    UNION ALL
    SELECT * FROM moved
  ), days AS (
    INSERT INTO coworking_analytics.daily_tokens AS d
    SELECT c.date, sum(c.requested), sum(c.used), sum(c.used_before_request),
           sum(c.within_5_minutes), sum(c.within_15_minutes), sum(c.within_60_minutes)
      FROM taken AS t
     CROSS JOIN LATERAL coworking_analytics.day_changes(t.change, t.created_at, t.used_at) AS c
     GROUP BY 1
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
  SELECT b.id, (SELECT count(*) FROM noted) + (SELECT count(*) FROM moved)
    INTO state.folded_to, folded
    FROM bound AS b;
  IF state.folded_to = state.noted_to AND state.noted_to < last_target THEN
    state.noted_to := setval('coworking_analytics.noted_to', last_target);
    state.noted_since := NULL;
  END IF;
  UPDATE coworking_analytics.fold_state AS s
     SET folded_to = state.folded_to, noted_to = state.noted_to, noted_since = state.noted_since
   WHERE s IS DISTINCT FROM state;
  RETURN folded;
END
$body$;

COMMENT ON FUNCTION coworking_analytics.fold(integer, integer) IS
  'Moves at most so many changes and tokens into the rollups, but none of the last ones; returns how many';

-- One row for each difference between the rollups and tokens, in one snapshot.
CREATE OR REPLACE FUNCTION coworking_analytics.check()
RETURNS TABLE (rollup text, key text, kept text, counted text)
LANGUAGE sql STABLE
AS $body$
  SELECT 'days', coalesce(k.date, c.date)::text, k::text, c::text
    FROM coworking_analytics.days_kept() AS k
    FULL JOIN coworking_analytics.days_counted() AS c ON c.date = k.date
   WHERE k IS DISTINCT FROM c
  UNION ALL
  SELECT 'hours', coalesce(k.hour, c.hour)::text, k::text, c::text
    FROM coworking_analytics.hours_kept() AS k
    FULL JOIN coworking_analytics.hours_counted() AS c ON c.hour = k.hour
   WHERE k IS DISTINCT FROM c
  UNION ALL
  SELECT 'users', coalesce(k.user_id, c.user_id)::text, k::text, c::text
    FROM coworking_analytics.user_tokens_kept() AS k
    FULL JOIN coworking_analytics.user_tokens_counted() AS c ON c.user_id = k.user_id
   WHERE k IS DISTINCT FROM c
   ORDER BY 1, 2
$body$;

COMMENT ON FUNCTION coworking_analytics.check() IS 'Differences between the rollups and tokens; no row when there are none';

-- Makes the rollups anew while writers and readers go on: all in one statement, hence one snapshot, which
-- the changes it deletes belong to as well; in order, for reports that read in order. They end where they
-- did, or before the last tokens, or where writers note from: a dump holds its tables as of one moment and a
-- sequence as of another, and another server's transactions. Fails where tokens is not what the trigger
-- follows.
CREATE OR REPLACE FUNCTION coworking_analytics.rebuild()
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
BEGIN
  PERFORM coworking_analytics.demand_read_committed();
  PERFORM pg_advisory_xact_lock(hashtext('coworking_analytics.fold'));
  PERFORM coworking_analytics.hold_tokens() FROM coworking_analytics.basis();
  IF NOT EXISTS (SELECT FROM coworking_analytics.basis()) THEN
    RAISE EXCEPTION 'public.tokens does not have the columns and the trigger that rollups need: run make migrate';
  END IF;
  PERFORM setval('coworking_analytics.noted_to', 9223372036854775807)
    WHERE pg_sequence_last_value('coworking_analytics.noted_to') IS NULL;
  INSERT INTO coworking_analytics.fold_state
  SELECT 9223372036854775807, 9223372036854775807 WHERE NOT EXISTS (SELECT FROM coworking_analytics.fold_state);
  UPDATE coworking_analytics.fold_state AS s
     SET folded_to = least(s.folded_to, n.last_value, coworking_analytics.first_kept_back(1000)), noted_to = n.last_value, noted_since = NULL
    FROM pg_sequence_last_value('coworking_analytics.noted_to') AS n (last_value);
  WITH no_changes AS (
    DELETE FROM coworking_analytics.token_changes
  ), old_basis AS (
    DELETE FROM coworking_analytics.rollup_basis
  ), new_basis AS (
    INSERT INTO coworking_analytics.rollup_basis SELECT * FROM coworking_analytics.basis()
  ), days AS MATERIALIZED (
    SELECT k.date, sum(k.requested) AS requested, sum(k.used) AS used, sum(k.used_before_request) AS used_before_request,
           sum(k.within_5_minutes) AS within_5_minutes, sum(k.within_15_minutes) AS within_15_minutes,
           sum(k.within_60_minutes) AS within_60_minutes
      FROM (SELECT * FROM coworking_analytics.days_counted()
            UNION ALL
            SELECT d.*
              FROM coworking_analytics.recent_dates() AS r
             CROSS JOIN LATERAL coworking_analytics.day_changes(-1, r.created_at, r.used_at) AS d) AS k
     GROUP BY k.date
    HAVING sum(k.requested) <> 0
     ORDER BY k.date
  ), old_days AS (
    DELETE FROM coworking_analytics.daily_tokens AS d WHERE NOT EXISTS (SELECT FROM days WHERE days.date = d.date)
  ), new_days AS (
    INSERT INTO coworking_analytics.daily_tokens AS d
    SELECT * FROM days
        ON CONFLICT (date) DO UPDATE
       SET requested = excluded.requested,
           used = excluded.used,
           used_before_request = excluded.used_before_request,
           within_5_minutes = excluded.within_5_minutes,
           within_15_minutes = excluded.within_15_minutes,
           within_60_minutes = excluded.within_60_minutes
     WHERE d IS DISTINCT FROM excluded
  ), hours AS MATERIALIZED (
    SELECT k.hour, sum(k.visits) AS visits
      FROM (SELECT * FROM coworking_analytics.hours_counted()
            UNION ALL
            SELECT date_trunc('hour', r.created_at), -1 FROM coworking_analytics.recent_dates() AS r WHERE r.used_at IS NOT NULL) AS k
     GROUP BY k.hour
    HAVING sum(k.visits) <> 0
     ORDER BY k.hour
  ), old_hours AS (
    DELETE FROM coworking_analytics.hourly_visits AS h WHERE NOT EXISTS (SELECT FROM hours WHERE hours.hour = h.hour)
  ), new_hours AS (
    INSERT INTO coworking_analytics.hourly_visits AS h
    SELECT * FROM hours
        ON CONFLICT (hour) DO UPDATE
       SET visits = excluded.visits
     WHERE h IS DISTINCT FROM excluded
  ), users AS MATERIALIZED (
    SELECT k.user_id, sum(k.tokens) AS tokens
      FROM (SELECT * FROM coworking_analytics.user_tokens_counted()
            UNION ALL
            SELECT r.user_id, -1 FROM coworking_analytics.recent_users() AS r) AS k
     GROUP BY k.user_id
    HAVING sum(k.tokens) <> 0
     ORDER BY k.user_id
  ), old_users AS (
    DELETE FROM coworking_analytics.user_tokens AS u WHERE NOT EXISTS (SELECT FROM users WHERE users.user_id = u.user_id)
  )
  INSERT INTO coworking_analytics.user_tokens AS u
  SELECT * FROM users
      ON CONFLICT (user_id) DO UPDATE
     SET tokens = excluded.tokens
   WHERE u IS DISTINCT FROM excluded;
  ANALYZE coworking_analytics.daily_tokens, coworking_analytics.hourly_visits, coworking_analytics.user_tokens;
END
$body$;

COMMENT ON FUNCTION coworking_analytics.rebuild() IS 'Makes the rollups anew while writers and readers go on';

-- Whether an inspection is due, and if so notes its start: once a day, and as soon as the rollups are
-- set aside; an hour after one that did not end.
CREATE OR REPLACE FUNCTION coworking_analytics.start_inspection()
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  IF pg_is_in_recovery()
     OR NOT EXISTS (SELECT FROM coworking_analytics.basis())
     OR NOT pg_try_advisory_xact_lock(hashtext('coworking_analytics.inspection')) THEN
    RETURN false;
  END IF;
  DELETE FROM coworking_analytics.inspections WHERE started_at < now() - interval '90 days';
  INSERT INTO coworking_analytics.inspections
  SELECT
   WHERE NOT EXISTS (SELECT
                       FROM coworking_analytics.inspections AS i
                      WHERE CASE
                              WHEN i.finished_at IS NULL THEN i.started_at > now() - interval '1 hour'
                              ELSE i.started_at > now() - interval '1 day' AND coworking_analytics.is_exact()
                            END);
  RETURN FOUND;
END
$body$;

-- Compares, mends what differs or was set aside, and notes what it found.
CREATE OR REPLACE FUNCTION coworking_analytics.inspect()
RETURNS TABLE (drift bigint, rebuilt boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
BEGIN
  PERFORM coworking_analytics.hold_tokens() FROM coworking_analytics.basis();
  drift := 0;
  IF coworking_analytics.is_exact() THEN
    SELECT count(*) INTO drift FROM coworking_analytics.check();
  END IF;
  rebuilt := drift > 0 OR NOT coworking_analytics.is_exact();
  IF rebuilt THEN
    PERFORM coworking_analytics.rebuild();
  END IF;
  UPDATE coworking_analytics.inspections AS i
     SET finished_at = clock_timestamp(), drift = inspect.drift, rebuilt = inspect.rebuilt
   WHERE i.started_at = (SELECT max(started_at) FROM coworking_analytics.inspections);
  RETURN NEXT;
END
$body$;

-- A lock on tokens without making its writers wait: asks for a moment at a time, and lets go in between.
CREATE OR REPLACE FUNCTION coworking_analytics.lock_tokens(mode text)
RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
  FOR attempt IN 1..120 LOOP
    BEGIN
      SET LOCAL lock_timeout = '200ms';
      EXECUTE format('LOCK TABLE public.tokens IN %s MODE', mode);
      RETURN;
    EXCEPTION
      WHEN lock_not_available THEN
        PERFORM pg_sleep(0.3);
    END;
  END LOOP;
  RAISE EXCEPTION 'some transaction keeps public.tokens locked: run this again when it has ended'
    USING ERRCODE = 'lock_not_available';
END
$body$;

\ir 0003_rights.sql
GRANT SELECT ON coworking_analytics.rollup_basis TO PUBLIC; -- a migration asks without rights

-- Last, so that the lock on tokens is held for no longer than this takes.
DO $body$
DECLARE
  other name;
BEGIN
  IF EXISTS (SELECT FROM coworking_analytics.tokens_trigger())
     OR NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = 'public.tokens'::regclass AND relkind = 'r') THEN
    RETURN; -- they are there; or it is a view or partitioned, and reports read it as it is
  END IF;
  IF NOT has_table_privilege('public.tokens', 'TRIGGER') THEN
    RAISE EXCEPTION 'no right to put a trigger on public.tokens: migrate as its owner, or with ROLLUPS=off';
  END IF;
  FOR other IN SELECT g.tgname
                 FROM pg_catalog.pg_trigger AS g
                WHERE g.tgrelid = 'public.tokens'::regclass
                  AND g.tgfoid = 'coworking_analytics.note_change()'::regprocedure
                  AND g.tgname <> 'coworking_analytics_change'
  LOOP
    PERFORM coworking_analytics.lock_tokens('ACCESS EXCLUSIVE');
    EXECUTE format('DROP TRIGGER %I ON public.tokens', other);
  END LOOP;
  PERFORM coworking_analytics.lock_tokens('SHARE ROW EXCLUSIVE');
  CREATE OR REPLACE TRIGGER coworking_analytics_change
    AFTER INSERT OR UPDATE OR DELETE ON public.tokens
    FOR EACH ROW EXECUTE FUNCTION coworking_analytics.note_change();
END
$body$;
