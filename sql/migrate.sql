-- Brings schema coworking_analytics up to date, as a role that may:
--   psql -v reader=ROLE -v rollups=on|off -f migrate.sql
-- May be run at any time, again, and by several at once. Where nothing is to do it changes nothing
-- and needs no rights. reader: the role that the workers log in as. rollups: off where the owner of
-- tokens allows no trigger; then reports read tokens itself.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\set QUIET on
SET client_min_messages = warning;
SET search_path = pg_catalog;
SET default_transaction_isolation = 'read committed';
SET check_function_bodies = off; -- a body may name a column that is not there at present

-- The catalog is open to everyone; names would need rights on the schemas.
SELECT count(*) FILTER (WHERE n.nspname = 'public' AND c.relname IN ('users', 'tokens')) = 2 AS has_tables,
       coalesce(bool_or(has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'))
                FILTER (WHERE n.nspname = 'coworking_analytics' AND c.relname = 'migrations'), false) AS has_list,
       false AS is_current
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
\gset
\if :has_tables
\else
  DO $body$
  BEGIN
    RAISE EXCEPTION 'public.users or public.tokens is missing: the coworking service creates them';
  END
  $body$;
\endif

-- Rollups of an earlier form, which no release had, are made anew.
SELECT EXISTS (SELECT
                 FROM pg_proc AS p
                 JOIN pg_namespace AS n ON n.oid = p.pronamespace
                WHERE n.nspname = 'coworking_analytics' AND p.proname = 'fold' AND p.pronargs = 1) AS has_earlier_form
\gset
\if :has_earlier_form
  \ir migrations/without_rollups.sql
\endif

-- All that the reader needs: tables, columns and functions made anew come without.
\if :has_list
  SELECT count(*) = 6 - (NOT :'rollups'::boolean)::integer AS has_migrations
    FROM coworking_analytics.migrations
   WHERE number <= 6
  \gset
\else
  \set has_migrations false
\endif
\if :has_migrations
  SELECT coalesce(
           (SELECT (SELECT bool_and(is_granted OR NOT is_there) FROM coworking_analytics.columns_read())
                   AND (SELECT count(*) >= 15
                               AND bool_and(has_function_privilege(r.oid, p.oid, 'EXECUTE')
                                            AND has_schema_privilege(r.oid, n.oid, 'USAGE'))
                          FROM pg_proc AS p
                          JOIN pg_namespace AS n ON n.oid = p.pronamespace
                         WHERE n.nspname = 'coworking_analytics' AND p.prorettype <> 'trigger'::regtype)
                   AND has_schema_privilege(r.oid, 'public', 'USAGE')
                   AND EXISTS (SELECT
                                 FROM pg_roles AS l
                                WHERE l.rolname = :'reader'
                                  AND pg_has_role(l.oid, r.oid, 'USAGE'))
              FROM pg_roles AS r
             WHERE r.rolname = 'coworking_analytics_reader'), false) AS is_current
  \gset
  \if :rollups
    SELECT :'is_current'::boolean
           AND (EXISTS (SELECT FROM coworking_analytics.tokens_trigger()) OR c.relkind <> 'r')
           AND (coworking_analytics.is_exact() OR NOT EXISTS (SELECT FROM coworking_analytics.basis())) AS is_current
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relname = 'tokens'
    \gset
  \endif
\endif
\if :is_current
  \echo 'schema coworking_analytics is up to date'
  \quit
\endif

\set number 1
\set name 0001_schema
\ir migrations/apply.psql
\set number 2
\set name 0002_reports
\ir migrations/apply.psql
\set number 3
\set name 0003_rights
\ir migrations/apply.psql
\set number 4
\set name 0004_facts
\ir migrations/apply.psql
\if :rollups
  \set number 5
  \set name 0005_rollups
  \ir migrations/apply.psql
  SELECT EXISTS (SELECT FROM coworking_analytics.basis()) AS has_basis, NOT coworking_analytics.is_exact() AS needs_rebuild
  \gset
  \if :has_basis
    \if :needs_rebuild
      SELECT coworking_analytics.rebuild()
      \g /dev/null
      -- From now on writers need not note what they do at the end of the table.
      SELECT coworking_analytics.fold(0)
      \g /dev/null
      SELECT coworking_analytics.fold(0)
      \g /dev/null
    \endif
  \else
    \warn 'public.tokens does not have the columns that rollups need: reports read it as it is'
  \endif
\else
  \ir migrations/without_rollups.sql
\endif
\set number 6
\set name 0006_members
\ir migrations/apply.psql

-- A superuser, and the owner of it all, need no membership.
SELECT NOT pg_has_role(:'reader', 'coworking_analytics_reader', 'USAGE') AS needs_grant
\gset
\if :needs_grant
  SELECT set_config('coworking_analytics.reader', :'reader', false) -- DO knows none of psql's variables
  \g /dev/null
  DO $body$
  BEGIN
    EXECUTE format('GRANT coworking_analytics_reader TO %I', current_setting('coworking_analytics.reader'));
  EXCEPTION
    WHEN insufficient_privilege THEN
      RAISE insufficient_privilege USING MESSAGE =
        format('permission denied: have a superuser run GRANT coworking_analytics_reader TO %I',
               current_setting('coworking_analytics.reader'));
  END
  $body$;
\endif
\echo 'schema coworking_analytics was brought up to date'
