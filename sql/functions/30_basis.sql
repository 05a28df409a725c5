-- The basis of the rollups: the table, its columns and the trigger. When any of them has changed, writes
-- may have gone unnoted, and reports read tokens directly until the rollups are rebuilt.

-- One row while tokens is a table that the trigger can follow. The row differs after anything that may
-- have changed tokens without firing the trigger: TRUNCATE, a new table, a rewrite by ALTER TABLE (or by
-- VACUUM FULL, which looks the same), a column with another position, type or NOT NULL, a trigger that was
-- disabled. A column or a trigger that was renamed and renamed back has another xmin.
CREATE OR REPLACE FUNCTION coworking_analytics.basis()
RETURNS TABLE (relation oid, file oid, columns text[], trigger text)
LANGUAGE sql STABLE
AS $body$
  SELECT c.oid,
         c.relfilenode,
         pg_catalog.array_agg(pg_catalog.concat_ws(' ', a.attname, a.attnum, a.xmin) ORDER BY a.attnum),
         pg_catalog.concat_ws(' ', g.oid, g.xmin, g.tgenabled)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'public'
    JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid AND g.tgname = 'coworking_analytics_change'
    JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid AND p.proname = 'note_change'
    JOIN pg_catalog.pg_namespace AS k ON k.oid = p.pronamespace AND k.nspname = 'coworking_analytics_keeper'
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
   WHERE c.relname = 'tokens'
     AND c.relkind = 'r'
     AND c.relam = (SELECT m.oid FROM pg_catalog.pg_am AS m WHERE m.amname = 'heap')
     AND c.relpersistence = 'p' -- a crash empties an unlogged table
     AND NOT c.relhassubclass
     AND g.tgenabled = 'A' -- ALWAYS: replicated rows fire no other kind
     AND (a.attname IN ('id', 'user_id') AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
          OR a.attname IN ('created_at', 'used_at') AND a.atttypid = 'timestamp'::regtype)
     AND (a.attnotnull OR a.attname = 'used_at')
     AND a.attgenerated <> 'v' -- a trigger does not see the value of a virtual column
     AND NOT EXISTS (SELECT -- since PostgreSQL 18 a NOT NULL constraint may be NOT VALID
                       FROM pg_catalog.pg_constraint AS o
                      WHERE o.conrelid = c.oid
                        AND o.contype = 'n'
                        AND o.conkey = ARRAY[a.attnum]
                        AND NOT o.convalidated)
   GROUP BY 1, 2, 4
  HAVING count(*) = 4
$body$;

-- One row while the basis that the rollups were built on is unchanged. Every report calls this, so it
-- looks up only the catalog rows that rollup_state names.
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
                    AND g.tgname = 'coworking_analytics_change'
                    AND pg_catalog.concat_ws(' ', g.oid, g.xmin, g.tgenabled) = s.trigger)
$body$;

-- One row while reports read the rollups; none while they have to read tokens.
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
  'Whether reports read the rollups; otherwise they read tokens, which is as exact but slower';
