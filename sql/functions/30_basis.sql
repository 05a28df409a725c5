-- What rollups rest on: the table, its columns and the trigger. When any of them is no longer what it
-- was, writes may have gone unnoted, and reports read tokens itself until the rollups are made anew.

-- One row when our trigger on tokens is there once, whatever its name, and always fires. A trigger that
-- was disabled or renamed in between has another xmin.
CREATE OR REPLACE FUNCTION coworking_analytics.tokens_trigger()
RETURNS TABLE (relation oid, identity text)
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, string_agg(pg_catalog.concat_ws(' ', g.oid, g.xmin, g.tgenabled), ',')
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid
    JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
   WHERE n.nspname = 'public'
     AND c.relname = 'tokens'
     AND p.proname = 'note_change'
     AND p.pronamespace = (SELECT k.oid FROM pg_catalog.pg_namespace AS k WHERE k.nspname = 'coworking_analytics_keeper')
     AND g.tgenabled <> 'D'
   GROUP BY c.oid
  HAVING count(*) = 1
     AND bool_and(g.tgenabled = 'A') -- which replicated rows fire, too
$body$;

-- One row while tokens is a table that the trigger can follow. The row differs after anything that may
-- have changed tokens without firing the trigger: TRUNCATE, a new table, a rewrite by ALTER TABLE (or by
-- VACUUM FULL, which looks the same), columns that changed places, types or NOT NULL, a trigger that was
-- disabled. A column that was renamed in between has another xmin.
CREATE OR REPLACE FUNCTION coworking_analytics.basis()
RETURNS TABLE (relation oid, file oid, columns text[], trigger text)
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid, c.relfilenode, pg_catalog.array_agg(pg_catalog.concat_ws(' ', a.attname, a.attnum, a.xmin) ORDER BY a.attnum), g.identity
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

-- One row while the basis that the rollups were made on is still there. Every report asks, so this only
-- looks up the catalog's rows that rollup_state names.
CREATE OR REPLACE FUNCTION coworking_analytics.unchanged_basis()
RETURNS TABLE (relation oid, is_complete boolean)
LANGUAGE sql STABLE
AS $body$
  SELECT s.relation, s.is_complete
    FROM coworking_analytics.rollup_state AS s
   WHERE EXISTS (SELECT
                   FROM pg_catalog.pg_class AS c
                  WHERE c.oid = s.relation
                    AND c.relfilenode = s.file
                    AND c.relname = 'tokens'
                    AND c.relnamespace = 'public'::regnamespace
                    AND NOT c.relhassubclass)
     AND (SELECT count(*) = 4
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = s.relation
             AND pg_catalog.concat_ws(' ', a.attname, a.attnum, a.xmin) = ANY (s.columns))
     AND EXISTS (SELECT
                   FROM pg_catalog.pg_trigger AS g
                  WHERE g.tgrelid = s.relation
                    AND pg_catalog.concat_ws(' ', g.oid, g.xmin, g.tgenabled) = s.trigger)
$body$;

-- One row while reports read the rollups, none while they have to read tokens.
CREATE OR REPLACE FUNCTION coworking_analytics.rollups_in_force()
RETURNS TABLE (relation oid)
LANGUAGE sql STABLE
AS $body$
  SELECT b.relation
    FROM coworking_analytics.unchanged_basis() AS b
   WHERE b.is_complete
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.uses_rollups()
RETURNS boolean
LANGUAGE sql STABLE
AS $body$
  SELECT EXISTS (SELECT FROM coworking_analytics.rollups_in_force())
$body$;

COMMENT ON FUNCTION coworking_analytics.uses_rollups() IS
  'Whether reports read the rollups; else they read tokens, as exactly but at its cost';
