-- Rollups of the facts (0004), so that a report costs what its answer costs and not what tokens holds.
--
--   tokens from folded_to on ──────────────────────────────────────────────┐
--      │ fold(), every 30 s                                                 ├→ report
--      └→ daily_tokens, hourly_visits, user_tokens ← token_changes ─────────┘
--
-- A token's place is its ctid. Rollups hold the tokens at places before folded_to; a report adds those
-- that follow, which are few, as it finds them. Only what changes before folded_to is noted, by a trigger,
-- so a token that is requested and soon used costs its writers next to nothing. All of it in one
-- snapshot, so a report is exact at every moment. Writers only ever append: they wait for nobody, and
-- cannot fail to serialize, because of us.
CREATE TABLE IF NOT EXISTS analytics.token_changes (
  change smallint NOT NULL,
  place tid NOT NULL,
  user_id bigint,
  created_at timestamp,
  used_at timestamp
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE analytics.token_changes IS 'Tokens that came to (1) and went from (-1) places before folded_to';

-- Writers note what they change in blocks of tokens before this one. No table, since they have to see
-- at once where it is, whatever their snapshot.
CREATE SEQUENCE IF NOT EXISTS analytics.noted_blocks AS bigint MINVALUE 0 MAXVALUE 4294967295 START 4294967295;

CREATE TABLE IF NOT EXISTS analytics.fold_state (
  folded_to tid NOT NULL,
  noted_blocks bigint NOT NULL,
  noted_since xid8
);
COMMENT ON TABLE analytics.fold_state IS
  'One row: where the rollups end; noted_blocks; and the transaction from which on all have seen the latter';

CREATE TABLE IF NOT EXISTS analytics.daily_tokens (
  date date PRIMARY KEY,
  requested integer NOT NULL,
  used integer NOT NULL,
  used_before_request integer NOT NULL,
  within_5_minutes integer NOT NULL,
  within_15_minutes integer NOT NULL,
  within_60_minutes integer NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS analytics.hourly_visits (
  hour timestamp PRIMARY KEY,
  visits integer NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS analytics.user_tokens (
  user_id bigint PRIMARY KEY,
  tokens integer NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE IF NOT EXISTS analytics.rollup_basis (
  relation oid NOT NULL,
  file oid NOT NULL,
  columns text[] NOT NULL,
  trigger text NOT NULL
);
COMMENT ON TABLE analytics.rollup_basis IS 'What basis() was when the rollups were made; no row until they are';

CREATE TABLE IF NOT EXISTS analytics.inspections (
  started_at timestamptz DEFAULT clock_timestamp() PRIMARY KEY,
  finished_at timestamptz,
  drift bigint,
  rebuilt boolean
);
COMMENT ON TABLE analytics.inspections IS 'When the rollups were compared with tokens, and how many rows differed';

-- Immutable throughout (a number joined to a text is not), for only so it costs writers no call.
CREATE OR REPLACE FUNCTION analytics.first_place(block bigint)
RETURNS tid
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT ('(' || block::text || ',0)')::tid
$body$;

-- At first all is noted.
SELECT setval('analytics.noted_blocks', 4294967295) WHERE pg_sequence_last_value('analytics.noted_blocks') IS NULL
\g /dev/null
INSERT INTO analytics.fold_state (folded_to, noted_blocks)
SELECT analytics.first_place(n.blocks), n.blocks
  FROM pg_sequence_last_value('analytics.noted_blocks') AS n (blocks)
 WHERE NOT EXISTS (SELECT FROM analytics.fold_state);

-- Notes a token that went from a place before noted_blocks, and one that came to such a place. A write
-- must not fail because of us, whatever the columns are. What plpgsql has planned for columns of other
-- types fails for as long as a session lasts: then they are read as they are now. Where that fails too, they
-- are not what basis() asks for, so the rollups are set aside. What reads them writes nothing, hence its
-- subtransaction has no number, and costs nobody else anything.
CREATE OR REPLACE FUNCTION analytics.note_change()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $body$
DECLARE
  noted_to tid := analytics.first_place(pg_catalog.pg_sequence_last_value('analytics.noted_blocks'));
  old_user_id bigint;
  old_created_at timestamp;
  old_used_at timestamp;
  new_user_id bigint;
  new_created_at timestamp;
  new_used_at timestamp;
BEGIN
  IF least(OLD.ctid, NEW.ctid) < noted_to THEN
    BEGIN
      old_user_id := OLD.user_id;
      old_created_at := OLD.created_at;
      old_used_at := OLD.used_at;
      new_user_id := NEW.user_id;
      new_created_at := NEW.created_at;
      new_used_at := NEW.used_at;
    EXCEPTION
      WHEN OTHERS THEN
        BEGIN
          EXECUTE 'SELECT ($1).user_id, ($1).created_at, ($1).used_at, ($2).user_id, ($2).created_at, ($2).used_at'
             INTO old_user_id, old_created_at, old_used_at, new_user_id, new_created_at, new_used_at
            USING OLD, NEW;
        EXCEPTION
          WHEN insufficient_resources OR program_limit_exceeded THEN
            RAISE; -- as the write itself would
          WHEN OTHERS THEN
            RETURN NULL;
        END;
    END;
    INSERT INTO analytics.token_changes
    SELECT c.*
      FROM (VALUES (-1, OLD.ctid, old_user_id, old_created_at, old_used_at),
                   (1, NEW.ctid, new_user_id, new_created_at, new_used_at)) AS c (change, place)
     WHERE c.place < noted_to;
  END IF;
  RETURN NULL;
END
$body$;

-- One row when our trigger on tokens fires. One that was off in between has another xmin.
CREATE OR REPLACE FUNCTION analytics.tokens_trigger()
RETURNS TABLE (relation oid, identity text)
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, concat_ws(' ', g.oid, g.xmin, g.tgenabled)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid
   WHERE n.nspname = 'public'
     AND c.relname = 'tokens'
     AND g.tgname = 'analytics_change'
     AND g.tgenabled IN ('O', 'A')
$body$;

-- One row while tokens is what the trigger can follow. It differs after all that changes rows without
-- firing it: TRUNCATE, a new table, a rewrite by ALTER TABLE (and by VACUUM FULL: the price of not
-- telling them apart), columns changing places or types or what may be NULL, a trigger that was off. A
-- column that was renamed in between has another xmin.
CREATE OR REPLACE FUNCTION analytics.basis()
RETURNS TABLE (relation oid, file oid, columns text[], trigger text)
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, c.relfilenode, array_agg(concat_ws(' ', a.attname, a.attnum, a.xmin)), g.identity
    FROM analytics.tokens_trigger() AS g
    JOIN pg_catalog.pg_class AS c ON c.oid = g.relation
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
   WHERE c.relkind = 'r'
     AND c.relam = (SELECT m.oid FROM pg_catalog.pg_am AS m WHERE m.amname = 'heap')
     AND c.relpersistence = 'p' -- a crash empties the others
     AND NOT c.relhassubclass
     AND (a.attname = 'user_id' AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
          OR a.attname IN ('created_at', 'used_at') AND a.atttypid = 'timestamp'::regtype)
     AND (a.attnotnull OR a.attname = 'used_at')
   GROUP BY c.oid, c.relfilenode, g.identity
  HAVING count(*) = 3
$body$;

-- One row while the rollups hold: their basis is still there. None while reports have to read tokens.
-- Asked with every report, so it does no more than look those rows up.
CREATE OR REPLACE FUNCTION analytics.rollups_in_force()
RETURNS TABLE (relation oid)
LANGUAGE sql STABLE
AS $body$
  SELECT b.relation
    FROM analytics.rollup_basis AS b
   WHERE EXISTS (SELECT
                   FROM pg_catalog.pg_class AS c
                  WHERE c.oid = b.relation
                    AND c.relfilenode = b.file
                    AND c.relname = 'tokens'
                    AND c.relnamespace = 'public'::regnamespace
                    AND NOT c.relhassubclass)
     AND (SELECT count(*) = 3
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = b.relation
             AND concat_ws(' ', a.attname, a.attnum, a.xmin) = ANY (b.columns))
     AND EXISTS (SELECT
                   FROM pg_catalog.pg_trigger AS g
                  WHERE g.tgrelid = b.relation
                    AND concat_ws(' ', g.oid, g.xmin, g.tgenabled) = b.trigger)
$body$;

CREATE OR REPLACE FUNCTION analytics.is_exact()
RETURNS boolean
LANGUAGE sql STABLE
AS $body$
  SELECT EXISTS (SELECT FROM analytics.rollups_in_force())
$body$;

-- Tokens that the rollups do not hold yet. In plpgsql, which plans them by themselves: the planner takes
-- "from some place on" for a third of the table, and would choose for all of a report accordingly.
CREATE OR REPLACE FUNCTION analytics.recent_dates()
RETURNS TABLE (created_at timestamp, used_at timestamp)
LANGUAGE plpgsql STABLE ROWS 1000
AS $body$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.created_at, t.used_at FROM public.tokens AS t WHERE t.ctid >= (SELECT folded_to FROM analytics.fold_state);
END
$body$;

CREATE OR REPLACE FUNCTION analytics.recent_users()
RETURNS TABLE (user_id bigint)
LANGUAGE plpgsql STABLE ROWS 1000
AS $body$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.user_id::bigint FROM public.tokens AS t WHERE t.ctid >= (SELECT folded_to FROM analytics.fold_state);
END
$body$;

-- The facts by rollup: what is folded, what changed there since, and what is recent.
CREATE OR REPLACE FUNCTION analytics.changed_dates()
RETURNS TABLE (change integer, created_at timestamp, used_at timestamp)
LANGUAGE sql STABLE
AS $body$
  SELECT c.change::integer, c.created_at, c.used_at
    FROM analytics.token_changes AS c
   WHERE c.place < (SELECT folded_to FROM analytics.fold_state)
  UNION ALL
  SELECT 1, r.created_at, r.used_at
    FROM analytics.recent_dates() AS r
$body$;

CREATE OR REPLACE FUNCTION analytics.changed_users()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT c.user_id, sum(c.change)
    FROM (SELECT c.user_id, c.change::integer
            FROM analytics.token_changes AS c
           WHERE c.place < (SELECT folded_to FROM analytics.fold_state)
          UNION ALL
          SELECT r.user_id, 1
            FROM analytics.recent_users() AS r) AS c
   GROUP BY c.user_id
$body$;

-- What a token that comes or goes is to its day.
CREATE OR REPLACE FUNCTION analytics.day_changes(change integer, created_at timestamp, used_at timestamp)
RETURNS TABLE (date date, requested integer, used integer, used_before_request integer,
               within_5_minutes integer, within_15_minutes integer, within_60_minutes integer)
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT day_changes.created_at::date,
         day_changes.change,
         CASE WHEN day_changes.used_at IS NOT NULL THEN day_changes.change ELSE 0 END,
         CASE WHEN day_changes.used_at < day_changes.created_at THEN day_changes.change ELSE 0 END,
         CASE WHEN analytics.is_within('5 minutes', day_changes.created_at, day_changes.used_at) THEN day_changes.change ELSE 0 END,
         CASE WHEN analytics.is_within('15 minutes', day_changes.created_at, day_changes.used_at) THEN day_changes.change ELSE 0 END,
         CASE WHEN analytics.is_within('60 minutes', day_changes.created_at, day_changes.used_at) THEN day_changes.change ELSE 0 END
$body$;

CREATE OR REPLACE FUNCTION analytics.days_kept()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT k.date, sum(k.requested), sum(k.used), sum(k.used_before_request),
         sum(k.within_5_minutes), sum(k.within_15_minutes), sum(k.within_60_minutes)
    FROM (SELECT d.date, d.requested, d.used, d.used_before_request,
                 d.within_5_minutes, d.within_15_minutes, d.within_60_minutes
            FROM analytics.daily_tokens AS d
          UNION ALL
          SELECT d.date, d.requested, d.used, d.used_before_request,
                 d.within_5_minutes, d.within_15_minutes, d.within_60_minutes
            FROM analytics.changed_dates() AS c
           CROSS JOIN LATERAL analytics.day_changes(c.change, c.created_at, c.used_at) AS d) AS k
   GROUP BY k.date
  HAVING sum(k.requested) <> 0
$body$;

CREATE OR REPLACE FUNCTION analytics.hours_kept()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT k.hour, sum(k.visits)
    FROM (SELECT h.hour, h.visits
            FROM analytics.hourly_visits AS h
          UNION ALL
          SELECT date_trunc('hour', c.created_at), c.change
            FROM analytics.changed_dates() AS c
           WHERE c.used_at IS NOT NULL) AS k
   GROUP BY k.hour
  HAVING sum(k.visits) <> 0
$body$;

-- Not one GROUP BY over both, as above: of many users the first could then be sent only after the last
-- was counted.
CREATE OR REPLACE FUNCTION analytics.user_tokens_kept()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT u.user_id, u.tokens + coalesce(c.tokens, 0)
     FROM analytics.user_tokens AS u
     LEFT JOIN analytics.changed_users() AS c ON c.user_id = u.user_id
    WHERE u.tokens + coalesce(c.tokens, 0) <> 0
    ORDER BY u.user_id)
  UNION ALL
  (SELECT c.user_id, c.tokens
     FROM analytics.changed_users() AS c
    WHERE NOT EXISTS (SELECT FROM analytics.user_tokens AS u WHERE u.user_id = c.user_id)
      AND c.tokens <> 0
    ORDER BY c.user_id)
$body$;

-- One of the two halves has nothing to do: its condition is looked at once, before it starts. Both
-- lock tokens, as a plain query does, so that no TRUNCATE or ALTER TABLE comes between the look and
-- the rows. Each is in order by itself, so that the two are merged as they come.
CREATE OR REPLACE FUNCTION analytics.days()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM analytics.days_kept() WHERE EXISTS (SELECT FROM analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM analytics.days_counted() WHERE NOT EXISTS (SELECT FROM analytics.rollups_in_force()) ORDER BY 1)
$body$;

CREATE OR REPLACE FUNCTION analytics.hours()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM analytics.hours_kept() WHERE EXISTS (SELECT FROM analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM analytics.hours_counted() WHERE NOT EXISTS (SELECT FROM analytics.rollups_in_force()) ORDER BY 1)
$body$;

CREATE OR REPLACE FUNCTION analytics.user_tokens()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM analytics.user_tokens_kept() WHERE EXISTS (SELECT FROM analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM analytics.user_tokens_counted() WHERE NOT EXISTS (SELECT FROM analytics.rollups_in_force()) ORDER BY 1)
$body$;

-- Moves at most that many changes and tokens into the rollups, and says how many. None while another fold
-- or a rebuild is at work, and on a standby. The last blocks of tokens, where most is still to happen,
-- are kept back.
--
-- folded_to may pass tokens only when whoever changed them is either in the snapshot or has noted it. So
-- one call moves noted_blocks on; the next learns a transaction that began to write after that; and when
-- all before it have ended, folded_to follows, up to there. It goes back at once, where tokens got
-- smaller, and noted_blocks only when that is committed. In a transaction that has written before, which
-- may be older than a writer, neither is known. A sequence knows no rollback: where it is not what the
-- table says, all this begins anew.
CREATE OR REPLACE FUNCTION analytics.fold(most integer, blocks_kept_back integer DEFAULT 16)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET lock_timeout = '100ms'
AS $body$
DECLARE
  has_written boolean := pg_current_xact_id_if_assigned() IS NOT NULL;
  state analytics.fold_state;
  last_block bigint;
  target tid;
  goes_back boolean;
  folded bigint := 0;
BEGIN
  IF pg_is_in_recovery()
     OR NOT analytics.is_exact()
     OR NOT pg_try_advisory_xact_lock(hashtext('coworking_analytics.fold')) THEN
    RETURN 0;
  END IF;
  BEGIN
    PERFORM analytics.hold_tokens();
  EXCEPTION
    WHEN lock_not_available THEN
      RETURN 0; -- somebody changes the table: later
  END;
  IF NOT analytics.is_exact() THEN
    RETURN 0; -- they were set aside before the lock was had
  END IF;
  SELECT * INTO STRICT state FROM analytics.fold_state;
  IF state.noted_blocks <> pg_sequence_last_value('analytics.noted_blocks') THEN
    state.noted_blocks := pg_sequence_last_value('analytics.noted_blocks');
    state.noted_since := NULL;
  END IF;
  last_block := greatest(pg_relation_size('public.tokens') / current_setting('block_size')::bigint - blocks_kept_back, 0);
  goes_back := analytics.first_place(last_block) < state.folded_to;
  IF goes_back THEN
    target := analytics.first_place(last_block);
  ELSE
    IF NOT has_written AND state.noted_blocks > last_block THEN
      state.noted_blocks := setval('analytics.noted_blocks', last_block);
    ELSIF NOT has_written AND state.noted_since IS NULL THEN
      state.noted_since := pg_current_xact_id();
    END IF;
    target := CASE WHEN state.noted_since <= pg_snapshot_xmin(pg_current_snapshot()) THEN analytics.first_place(state.noted_blocks)
                   ELSE state.folded_to END;
  END IF;
  WITH noted AS MATERIALIZED (
    DELETE FROM analytics.token_changes
     WHERE ctid = ANY (ARRAY(SELECT ctid
                               FROM analytics.token_changes
                              WHERE place < state.folded_to
                              LIMIT CASE WHEN NOT goes_back THEN most END))
    RETURNING change, user_id, created_at, used_at
  ), next AS MATERIALIZED (
    SELECT greatest(most - (SELECT count(*) FROM noted), 0) AS room
  ), following AS MATERIALIZED (
    SELECT t.ctid AS place
      FROM public.tokens AS t
     WHERE NOT goes_back
       AND t.ctid >= state.folded_to
       AND t.ctid < target
     LIMIT (SELECT room + 1 FROM next)
  ), bound AS MATERIALIZED (
    SELECT CASE WHEN count(*) > (SELECT room FROM next) THEN max(place) ELSE target END AS place FROM following
  ), needless AS (
    DELETE FROM analytics.token_changes WHERE place >= state.folded_to AND place < (SELECT place FROM bound)
  ), moved AS MATERIALIZED (
    SELECT CASE WHEN goes_back THEN -1 ELSE 1 END AS change, t.user_id::bigint, t.created_at, t.used_at
      FROM public.tokens AS t
     WHERE t.ctid >= least(state.folded_to, (SELECT place FROM bound))
       AND t.ctid < greatest(state.folded_to, (SELECT place FROM bound))
  ), taken AS MATERIALIZED (
    SELECT * FROM noted
    UNION ALL
    SELECT * FROM moved
  ), days AS (
    INSERT INTO analytics.daily_tokens AS d
    SELECT c.date, sum(c.requested), sum(c.used), sum(c.used_before_request),
           sum(c.within_5_minutes), sum(c.within_15_minutes), sum(c.within_60_minutes)
      FROM taken AS t
     CROSS JOIN LATERAL analytics.day_changes(t.change, t.created_at, t.used_at) AS c
     GROUP BY 1
        ON CONFLICT (date) DO UPDATE
       SET requested = d.requested + excluded.requested,
           used = d.used + excluded.used,
           used_before_request = d.used_before_request + excluded.used_before_request,
           within_5_minutes = d.within_5_minutes + excluded.within_5_minutes,
           within_15_minutes = d.within_15_minutes + excluded.within_15_minutes,
           within_60_minutes = d.within_60_minutes + excluded.within_60_minutes
  ), hours AS (
    INSERT INTO analytics.hourly_visits AS h
    SELECT date_trunc('hour', t.created_at), sum(t.change)
      FROM taken AS t
     WHERE t.used_at IS NOT NULL
     GROUP BY 1
    HAVING sum(t.change) <> 0
        ON CONFLICT (hour) DO UPDATE
       SET visits = h.visits + excluded.visits
  ), users AS (
    INSERT INTO analytics.user_tokens AS u
    SELECT t.user_id, sum(t.change)
      FROM taken AS t
     GROUP BY 1
    HAVING sum(t.change) <> 0
     ORDER BY 1
        ON CONFLICT (user_id) DO UPDATE
       SET tokens = u.tokens + excluded.tokens
  )
  SELECT b.place, (SELECT count(*) FROM noted) + (SELECT count(*) FROM moved WHERE NOT goes_back)
    INTO target, folded
    FROM bound AS b;
  state.folded_to := target;
  IF target = analytics.first_place(state.noted_blocks) AND state.noted_blocks < last_block THEN
    state.noted_blocks := setval('analytics.noted_blocks', last_block);
    state.noted_since := NULL;
  END IF;
  UPDATE analytics.fold_state AS s
     SET folded_to = state.folded_to, noted_blocks = state.noted_blocks, noted_since = state.noted_since
   WHERE s IS DISTINCT FROM state;
  RETURN least(folded, most); -- going back takes all changes at once
END
$body$;

COMMENT ON FUNCTION analytics.fold(integer, integer) IS
  'Moves at most so many changes and tokens into the rollups, but none of the last blocks; returns how many';

-- One row for each difference between the rollups and tokens, in one snapshot.
CREATE OR REPLACE FUNCTION analytics.check()
RETURNS TABLE (rollup text, key text, kept text, counted text)
LANGUAGE sql STABLE
AS $body$
  SELECT 'days', coalesce(k.date, c.date)::text, k::text, c::text
    FROM analytics.days_kept() AS k
    FULL JOIN analytics.days_counted() AS c ON c.date = k.date
   WHERE k IS DISTINCT FROM c
  UNION ALL
  SELECT 'hours', coalesce(k.hour, c.hour)::text, k::text, c::text
    FROM analytics.hours_kept() AS k
    FULL JOIN analytics.hours_counted() AS c ON c.hour = k.hour
   WHERE k IS DISTINCT FROM c
  UNION ALL
  SELECT 'users', coalesce(k.user_id, c.user_id)::text, k::text, c::text
    FROM analytics.user_tokens_kept() AS k
    FULL JOIN analytics.user_tokens_counted() AS c ON c.user_id = k.user_id
   WHERE k IS DISTINCT FROM c
   ORDER BY 1, 2
$body$;

COMMENT ON FUNCTION analytics.check() IS 'Differences between the rollups and tokens; no row when there are none';

-- Keeps TRUNCATE and ALTER TABLE away until the transaction ends, which the next statement's snapshot
-- then needs not fear (PostgreSQL, "Caveats" of MVCC). LOCK TABLE would want a right on every column.
CREATE OR REPLACE FUNCTION analytics.hold_tokens()
RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
  PERFORM t.created_at FROM public.tokens AS t LIMIT 1;
END
$body$;

-- Makes the rollups anew, up to where they were, while writers and readers go on: all in one statement,
-- hence one snapshot, which the changes it deletes belong to as well; in order, for reports that read in
-- order. Fails where tokens is not what the trigger follows.
CREATE OR REPLACE FUNCTION analytics.rebuild()
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('coworking_analytics.fold'));
  PERFORM analytics.hold_tokens();
  -- A dump holds its tables as of one moment and a sequence as of another, and transactions of another server.
  UPDATE analytics.fold_state AS s
     SET folded_to = least(s.folded_to, analytics.first_place(n.blocks)), noted_blocks = n.blocks, noted_since = NULL
    FROM pg_sequence_last_value('analytics.noted_blocks') AS n (blocks);
  IF NOT EXISTS (SELECT FROM analytics.basis()) THEN
    RAISE EXCEPTION 'public.tokens does not have the columns and the trigger that rollups need: run make migrate';
  END IF;
  WITH no_changes AS (
    DELETE FROM analytics.token_changes
  ), old_basis AS (
    DELETE FROM analytics.rollup_basis
  ), new_basis AS (
    INSERT INTO analytics.rollup_basis SELECT * FROM analytics.basis()
  ), days AS MATERIALIZED (
    SELECT k.date, sum(k.requested) AS requested, sum(k.used) AS used, sum(k.used_before_request) AS used_before_request,
           sum(k.within_5_minutes) AS within_5_minutes, sum(k.within_15_minutes) AS within_15_minutes,
           sum(k.within_60_minutes) AS within_60_minutes
      FROM (SELECT * FROM analytics.days_counted()
            UNION ALL
            SELECT d.*
              FROM analytics.recent_dates() AS r
             CROSS JOIN LATERAL analytics.day_changes(-1, r.created_at, r.used_at) AS d) AS k
     GROUP BY k.date
    HAVING sum(k.requested) <> 0
     ORDER BY k.date
  ), old_days AS (
    DELETE FROM analytics.daily_tokens AS d WHERE NOT EXISTS (SELECT FROM days WHERE days.date = d.date)
  ), new_days AS (
    INSERT INTO analytics.daily_tokens AS d
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
      FROM (SELECT * FROM analytics.hours_counted()
            UNION ALL
            SELECT date_trunc('hour', r.created_at), -1 FROM analytics.recent_dates() AS r WHERE r.used_at IS NOT NULL) AS k
     GROUP BY k.hour
    HAVING sum(k.visits) <> 0
     ORDER BY k.hour
  ), old_hours AS (
    DELETE FROM analytics.hourly_visits AS h WHERE NOT EXISTS (SELECT FROM hours WHERE hours.hour = h.hour)
  ), new_hours AS (
    INSERT INTO analytics.hourly_visits AS h
    SELECT * FROM hours
        ON CONFLICT (hour) DO UPDATE
       SET visits = excluded.visits
     WHERE h IS DISTINCT FROM excluded
  ), users AS MATERIALIZED (
    SELECT k.user_id, sum(k.tokens) AS tokens
      FROM (SELECT * FROM analytics.user_tokens_counted()
            UNION ALL
            SELECT r.user_id, -1 FROM analytics.recent_users() AS r) AS k
     GROUP BY k.user_id
    HAVING sum(k.tokens) <> 0
     ORDER BY k.user_id
  ), old_users AS (
    DELETE FROM analytics.user_tokens AS u WHERE NOT EXISTS (SELECT FROM users WHERE users.user_id = u.user_id)
  )
  INSERT INTO analytics.user_tokens AS u
  SELECT * FROM users
      ON CONFLICT (user_id) DO UPDATE
     SET tokens = excluded.tokens
   WHERE u IS DISTINCT FROM excluded;
  ANALYZE analytics.daily_tokens, analytics.hourly_visits, analytics.user_tokens;
END
$body$;

COMMENT ON FUNCTION analytics.rebuild() IS 'Makes the rollups anew while writers and readers go on';

-- Whether an inspection is due, and if so notes its start: once a day, and as soon as the rollups are
-- set aside; an hour after one that did not end.
CREATE OR REPLACE FUNCTION analytics.start_inspection()
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  IF pg_is_in_recovery()
     OR NOT EXISTS (SELECT FROM analytics.basis())
     OR NOT pg_try_advisory_xact_lock(hashtext('coworking_analytics.inspection')) THEN
    RETURN false;
  END IF;
  DELETE FROM analytics.inspections WHERE started_at < now() - interval '90 days';
  INSERT INTO analytics.inspections
  SELECT
   WHERE NOT EXISTS (SELECT
                       FROM analytics.inspections AS i
                      WHERE CASE
                              WHEN i.finished_at IS NULL THEN i.started_at > now() - interval '1 hour'
                              ELSE i.started_at > now() - interval '1 day' AND analytics.is_exact()
                            END);
  RETURN FOUND;
END
$body$;

-- Compares, mends what differs or was set aside, and notes what it found.
CREATE OR REPLACE FUNCTION analytics.inspect()
RETURNS TABLE (drift bigint, rebuilt boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
BEGIN
  PERFORM analytics.hold_tokens();
  drift := 0;
  IF analytics.is_exact() THEN
    SELECT count(*) INTO drift FROM analytics.check();
  END IF;
  rebuilt := drift > 0 OR NOT analytics.is_exact();
  IF rebuilt THEN
    PERFORM analytics.rebuild();
  END IF;
  UPDATE analytics.inspections AS i
     SET finished_at = clock_timestamp(), drift = inspect.drift, rebuilt = inspect.rebuilt
   WHERE i.started_at = (SELECT max(started_at) FROM analytics.inspections);
  RETURN NEXT;
END
$body$;

-- A lock on tokens without making its writers wait: asks for a moment at a time, and lets go in between.
CREATE OR REPLACE FUNCTION analytics.lock_tokens(mode text)
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
GRANT SELECT ON analytics.rollup_basis TO PUBLIC; -- a migration asks without rights

-- Last, so that the lock on tokens is held for no longer than this takes.
DO $body$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = 'public.tokens'::regclass AND relkind IN ('r', 'p')) THEN
    EXECUTE format('GRANT SELECT (ctid) ON public.tokens TO coworking_analytics_reader, %I',
                   (SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'analytics'));
  END IF;
  IF EXISTS (SELECT FROM analytics.tokens_trigger())
     OR NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = 'public.tokens'::regclass AND relkind = 'r') THEN
    RETURN; -- they are there; or it is a view or partitioned, and reports read it as it is
  END IF;
  IF NOT has_table_privilege('public.tokens', 'TRIGGER') THEN
    RAISE EXCEPTION 'no right to put a trigger on public.tokens: migrate as its owner, or with ROLLUPS=off';
  END IF;
  PERFORM analytics.lock_tokens('SHARE ROW EXCLUSIVE');
  CREATE OR REPLACE TRIGGER analytics_change
    AFTER INSERT OR UPDATE OR DELETE ON public.tokens
    FOR EACH ROW EXECUTE FUNCTION analytics.note_change();
END
$body$;
