-- Brings schema analytics up to date: psql -v reader=ROLE -f migrate.sql, as a role that may.
-- May be run at any time, again, and by several at once. Where nothing is to do it changes nothing
-- and needs no rights. reader: the role that the workers log in as.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\set QUIET on
SET client_min_messages = warning;
SET search_path = pg_catalog;

SELECT to_regclass('public.users') IS NOT NULL
       AND to_regclass('public.tokens') IS NOT NULL AS has_tables,
       to_regclass('analytics.migrations') IS NOT NULL AS has_list,
       false AS is_current
\gset
\if :has_tables
\else
  DO $body$
  BEGIN
    RAISE EXCEPTION 'public.users or public.tokens is missing: the coworking service creates them';
  END
  $body$;
\endif

-- The newest migration here, and the grants that tables made anew have lost.
\if :has_list
  SELECT (SELECT max(number) FROM analytics.migrations) >= 3
         AND EXISTS (SELECT
                       FROM pg_roles AS r
                      WHERE r.rolname = 'coworking_analytics_reader'
                        AND has_any_column_privilege(r.oid, 'public.users', 'SELECT')
                        AND has_any_column_privilege(r.oid, 'public.tokens', 'SELECT'))
         AND EXISTS (SELECT
                       FROM pg_roles AS r
                      WHERE r.rolname = :'reader'
                        AND pg_has_role(r.oid, 'coworking_analytics_reader', 'USAGE')) AS is_current
  \gset
\endif
\if :is_current
  \echo 'schema analytics is up to date'
  \quit
\endif

\set number 1
\set name 0001_schema
\ir migrations/apply.psql
\set number 2
\set name 0002_reports
\ir migrations/apply.psql
\set number 3
\set name 0003_reader
\ir migrations/apply.psql

-- A superuser, and the owner of it all, need no membership.
SELECT NOT pg_has_role(:'reader', 'coworking_analytics_reader', 'USAGE') AS needs_grant
\gset
\if :needs_grant
  GRANT coworking_analytics_reader TO :"reader";
\endif
\echo 'schema analytics was brought up to date'
