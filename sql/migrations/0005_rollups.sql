-- Rollups: the facts (0004) kept as they change, so that a report costs what its answer costs and not
-- what tokens holds.
--
--   write to tokens → trigger → token_changes → fold(), every 30 s → daily_tokens, hourly_visits, user_tokens
--
-- A report adds what is not folded yet, in one snapshot, so it is exact at every moment. Writers only
-- ever append: they wait for nobody, and cannot fail to serialize, because of us.
CREATE TABLE IF NOT EXISTS analytics.token_changes (
  change smallint NOT NULL,
  user_id bigint,
  created_at timestamp,
  used_at timestamp
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE analytics.token_changes IS 'Tokens that came (1) and went (-1) since they were last folded';

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
  triggers text[] NOT NULL
);
COMMENT ON TABLE analytics.rollup_basis IS 'What basis() was when the rollups were made; no row until they are';

CREATE TABLE IF NOT EXISTS analytics.inspections (
  started_at timestamptz DEFAULT clock_timestamp() PRIMARY KEY,
  finished_at timestamptz,
  drift bigint,
  rebuilt boolean
);
COMMENT ON TABLE analytics.inspections IS 'When the rollups were compared with tokens, and how many rows differed';

-- What note_insert() and the like can use of a column, or NULL: by its type, which is settled when the
-- statement is planned and costs nothing later. A call that fits two of them would be an error, so what
-- PostgreSQL turns into the right type by itself has one of its own.
CREATE OR REPLACE FUNCTION analytics.as_bigint(value bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT value';
CREATE OR REPLACE FUNCTION analytics.as_bigint(value integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT value::bigint';
CREATE OR REPLACE FUNCTION analytics.as_bigint(value smallint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT value::bigint';
CREATE OR REPLACE FUNCTION analytics.as_bigint(value oid) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT NULL::bigint';
CREATE OR REPLACE FUNCTION analytics.as_bigint(value anyelement) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT NULL::bigint';
CREATE OR REPLACE FUNCTION analytics.as_timestamp(value timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT value';
CREATE OR REPLACE FUNCTION analytics.as_timestamp(value date) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT NULL::timestamp';
CREATE OR REPLACE FUNCTION analytics.as_timestamp(value anyelement) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT NULL::timestamp';

CREATE OR REPLACE FUNCTION analytics.absent()
RETURNS TABLE (user_id bigint, created_at timestamp, used_at timestamp)
LANGUAGE sql IMMUTABLE
AS 'SELECT NULL::bigint, NULL::timestamp, NULL::timestamp';

-- Note what a statement did to tokens. A write must not fail because of us, and an EXCEPTION block would
-- give each statement a transaction of its own, which all snapshots then have to look at. So there is
-- nothing to fail here: of a column that is not there the name means the NULL of absent(), and one of
-- another type is taken for NULL. Either changes basis(), and so sets the rollups aside.
CREATE OR REPLACE FUNCTION analytics.note_insert()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  INSERT INTO analytics.token_changes
  SELECT 1, noted.*
    FROM analytics.absent() AS a
   CROSS JOIN LATERAL (SELECT analytics.as_bigint(user_id), analytics.as_timestamp(created_at), analytics.as_timestamp(used_at)
                         FROM new_rows) AS noted;
  RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION analytics.note_update()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  INSERT INTO analytics.token_changes
  SELECT -1, noted.*
    FROM analytics.absent() AS a
   CROSS JOIN LATERAL (SELECT analytics.as_bigint(user_id), analytics.as_timestamp(created_at), analytics.as_timestamp(used_at)
                         FROM old_rows) AS noted;
  INSERT INTO analytics.token_changes
  SELECT 1, noted.*
    FROM analytics.absent() AS a
   CROSS JOIN LATERAL (SELECT analytics.as_bigint(user_id), analytics.as_timestamp(created_at), analytics.as_timestamp(used_at)
                         FROM new_rows) AS noted;
  RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION analytics.note_delete()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  INSERT INTO analytics.token_changes
  SELECT -1, noted.*
    FROM analytics.absent() AS a
   CROSS JOIN LATERAL (SELECT analytics.as_bigint(user_id), analytics.as_timestamp(created_at), analytics.as_timestamp(used_at)
                         FROM old_rows) AS noted;
  RETURN NULL;
END
$body$;

-- One row when all our triggers on tokens fire. A trigger that was off in between has another xmin.
CREATE OR REPLACE FUNCTION analytics.triggers()
RETURNS TABLE (relation oid, triggers text[])
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, array_agg(concat_ws(' ', g.oid, g.xmin, g.tgenabled))
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid
   WHERE n.nspname = 'public'
     AND c.relname = 'tokens'
     AND g.tgname IN ('analytics_insert', 'analytics_update', 'analytics_delete')
     AND g.tgenabled IN ('O', 'A')
   GROUP BY c.oid
  HAVING count(*) = 3
$body$;

-- One row while tokens is what the triggers can follow. It differs after all that changes rows without
-- firing them: TRUNCATE, a new table, a rewrite by ALTER TABLE (and by VACUUM FULL: the price of not
-- telling them apart), columns changing places or types or what may be NULL, triggers that were off. A
-- column that was renamed in between has another xmin.
CREATE OR REPLACE FUNCTION analytics.basis()
RETURNS TABLE (relation oid, file oid, columns text[], triggers text[])
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, c.relfilenode, array_agg(concat_ws(' ', a.attname, a.attnum, a.xmin)), g.triggers
    FROM analytics.triggers() AS g
    JOIN pg_catalog.pg_class AS c ON c.oid = g.relation
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
   WHERE c.relkind = 'r'
     AND c.relpersistence = 'p' -- a crash empties the others
     AND NOT c.relhassubclass
     AND (a.attname = 'user_id' AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
          OR a.attname IN ('created_at', 'used_at') AND a.atttypid = 'timestamp'::regtype)
     AND (a.attnotnull OR a.attname = 'used_at')
   GROUP BY c.oid, c.relfilenode, g.triggers
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
     AND (SELECT count(*) = 3
            FROM pg_catalog.pg_trigger AS g
           WHERE g.tgrelid = b.relation
             AND concat_ws(' ', g.oid, g.xmin, g.tgenabled) = ANY (b.triggers))
$body$;

CREATE OR REPLACE FUNCTION analytics.is_exact()
RETURNS boolean
LANGUAGE sql STABLE
AS $body$
  SELECT EXISTS (SELECT FROM analytics.rollups_in_force())
$body$;

-- The facts by rollup: what is folded, and what is not yet.
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
          SELECT c.created_at::date,
                 c.change::integer,
                 CASE WHEN c.used_at IS NOT NULL THEN c.change ELSE 0 END,
                 CASE WHEN c.used_at < c.created_at THEN c.change ELSE 0 END,
                 CASE WHEN analytics.is_within('5 minutes', c.created_at, c.used_at) THEN c.change ELSE 0 END,
                 CASE WHEN analytics.is_within('15 minutes', c.created_at, c.used_at) THEN c.change ELSE 0 END,
                 CASE WHEN analytics.is_within('60 minutes', c.created_at, c.used_at) THEN c.change ELSE 0 END
            FROM analytics.token_changes AS c) AS k
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
          SELECT date_trunc('hour', c.created_at), c.change::integer
            FROM analytics.token_changes AS c
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
     LEFT JOIN (SELECT user_id, sum(change) AS tokens FROM analytics.token_changes GROUP BY user_id) AS c
            ON c.user_id = u.user_id
    WHERE u.tokens + coalesce(c.tokens, 0) <> 0
    ORDER BY u.user_id)
  UNION ALL
  (SELECT c.user_id, sum(c.change)
     FROM analytics.token_changes AS c
    WHERE NOT EXISTS (SELECT FROM analytics.user_tokens AS u WHERE u.user_id = c.user_id)
    GROUP BY c.user_id
   HAVING sum(c.change) <> 0
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

-- Moves at most that many changes into the rollups, and says how many. None while another fold or a
-- rebuild is at work, and on a standby.
CREATE OR REPLACE FUNCTION analytics.fold(most integer)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  folded bigint := 0;
BEGIN
  IF pg_is_in_recovery() OR NOT pg_try_advisory_xact_lock(hashtext('coworking_analytics.fold')) THEN
    RETURN 0;
  END IF;
  WITH taken AS MATERIALIZED (
    DELETE FROM analytics.token_changes
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM analytics.token_changes LIMIT most))
    RETURNING change, user_id, created_at, used_at
  ), days AS (
    INSERT INTO analytics.daily_tokens AS d
    SELECT t.created_at::date,
           sum(t.change),
           coalesce(sum(t.change) FILTER (WHERE t.used_at IS NOT NULL), 0),
           coalesce(sum(t.change) FILTER (WHERE t.used_at < t.created_at), 0),
           coalesce(sum(t.change) FILTER (WHERE analytics.is_within('5 minutes', t.created_at, t.used_at)), 0),
           coalesce(sum(t.change) FILTER (WHERE analytics.is_within('15 minutes', t.created_at, t.used_at)), 0),
           coalesce(sum(t.change) FILTER (WHERE analytics.is_within('60 minutes', t.created_at, t.used_at)), 0)
      FROM taken AS t
     WHERE t.created_at IS NOT NULL -- as all are, but for those noted while the rollups are set aside
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
     WHERE t.used_at IS NOT NULL AND t.created_at IS NOT NULL
     GROUP BY 1
    HAVING sum(t.change) <> 0
        ON CONFLICT (hour) DO UPDATE
       SET visits = h.visits + excluded.visits
  ), users AS (
    INSERT INTO analytics.user_tokens AS u
    SELECT t.user_id, sum(t.change)
      FROM taken AS t
     WHERE t.user_id IS NOT NULL
     GROUP BY 1
    HAVING sum(t.change) <> 0
        ON CONFLICT (user_id) DO UPDATE
       SET tokens = u.tokens + excluded.tokens
  )
  SELECT count(*) INTO folded FROM taken;
  RETURN folded;
END
$body$;

COMMENT ON FUNCTION analytics.fold(integer) IS 'Moves at most so many changes into the rollups; returns how many';

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

-- Makes the rollups anew while writers and readers go on: all in one statement, hence one snapshot,
-- which the changes it deletes belong to as well; in order, for reports that read in order. Fails where tokens is not what the triggers follow.
CREATE OR REPLACE FUNCTION analytics.rebuild()
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
AS $body$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('coworking_analytics.fold'));
  PERFORM analytics.hold_tokens();
  IF NOT EXISTS (SELECT FROM analytics.basis()) THEN
    RAISE EXCEPTION 'public.tokens does not have the columns and triggers that rollups need: run make migrate';
  END IF;
  WITH no_changes AS (
    DELETE FROM analytics.token_changes
  ), old_basis AS (
    DELETE FROM analytics.rollup_basis
  ), new_basis AS (
    INSERT INTO analytics.rollup_basis SELECT * FROM analytics.basis()
  ), days AS MATERIALIZED (
    SELECT * FROM analytics.days_counted() ORDER BY date
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
    SELECT * FROM analytics.hours_counted() ORDER BY hour
  ), old_hours AS (
    DELETE FROM analytics.hourly_visits AS h WHERE NOT EXISTS (SELECT FROM hours WHERE hours.hour = h.hour)
  ), new_hours AS (
    INSERT INTO analytics.hourly_visits AS h
    SELECT * FROM hours
        ON CONFLICT (hour) DO UPDATE
       SET visits = excluded.visits
     WHERE h IS DISTINCT FROM excluded
  ), users AS MATERIALIZED (
    SELECT * FROM analytics.user_tokens_counted() ORDER BY user_id
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
  IF EXISTS (SELECT FROM analytics.triggers())
     OR NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = 'public.tokens'::regclass AND relkind = 'r') THEN
    RETURN; -- they are there; or it is a view or partitioned, and reports read it as it is
  END IF;
  IF NOT has_table_privilege('public.tokens', 'TRIGGER') THEN
    RAISE EXCEPTION 'no right to put triggers on public.tokens: migrate as its owner, or with ROLLUPS=off';
  END IF;
  PERFORM analytics.lock_tokens('SHARE ROW EXCLUSIVE');
  CREATE OR REPLACE TRIGGER analytics_insert
    AFTER INSERT ON public.tokens
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics.note_insert();
  CREATE OR REPLACE TRIGGER analytics_update
    AFTER UPDATE ON public.tokens
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics.note_update();
  CREATE OR REPLACE TRIGGER analytics_delete
    AFTER DELETE ON public.tokens
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics.note_delete();
END
$body$;
