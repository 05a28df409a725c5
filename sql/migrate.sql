-- Brings schema coworking_analytics up to date. The build puts this file and those that it includes
-- together (sql/generate); analytics-fcgi --migrate hands the whole to psql, with these variables:
--   worker, logger: the roles that workers and logger log in as
--   worker_settings, logger_settings: what their sessions are set to, a line each, as name=value
--   rollups: on, or off where nobody may put a trigger on tokens; then reports read tokens itself
-- It may be run at any time, again, and by several at once. Where there is nothing to do it changes
-- nothing and needs no rights.
--
-- The session may be a superuser's, and our schema is not a superuser's. So this reads catalogs and runs
-- DDL, and never calls a function of ours, nor reads or writes a table of ours or of the coworking
-- service: any of them could run what its owner has attached to it. What was applied stands in the
-- comment on the schema, behind a line that marks the schema as ours.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\set QUIET on
\set mark 'Coworking analytics: reports on users and tokens'

-- Settings are local to a transaction: behind a pooler the session is not ours alone.
BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
SET LOCAL search_path = pg_catalog;
\include sql/install/state.sql
COMMIT;
\if :has_tables
\else
  DO $body$ BEGIN
    RAISE EXCEPTION 'public.users or public.tokens is missing: the coworking service creates them';
  END $body$;
\endif
\if :is_foreign
  DO $body$ BEGIN
    RAISE EXCEPTION 'schema coworking_analytics or coworking_analytics_keeper is there and is not ours: rename it, or, if it is to be ours, give it the comment "Coworking analytics: reports on users and tokens"';
  END $body$;
\endif

SELECT :'applied'::pg_catalog.jsonb OPERATOR(pg_catalog.@>) :'migrations'::pg_catalog.jsonb
       AND :'functions_are_current' AND :'rollups_are_noted' AND :'rights_are_current' AND :'trigger_is_current'
       AND :'roles_are_current' AND :'is_moved' AS is_current
\gset
\if :is_current
  \echo 'schema coworking_analytics is up to date'
  \quit
\endif

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '60s';
SET LOCAL check_function_bodies = off; -- a body may name a column that is not there at present
\include sql/install/roles.sql
\include sql/install/schema.sql
\include sql/install/memberships.sql
\include sql/install/state.sql
\include migrations
\if :functions_are_current
\else
\include functions
\endif
\if :is_newer
\else
\include sql/install/rights.sql
\endif
\include sql/install/state.sql
SELECT format('COMMENT ON SCHEMA coworking_analytics IS %L', :'mark' || E'\n' || (:'note'::jsonb || noted)) AS statement
  FROM (SELECT jsonb_build_object('rollups', :'rollups')
               || CASE WHEN :'is_newer' THEN '{}'
                       ELSE jsonb_build_object('migrations', :'migrations'::jsonb, 'functions', :'functions_checksum',
                                               'fingerprint', :'fingerprint') END) AS n (noted)
\gexec
COMMENT ON SCHEMA coworking_analytics_keeper IS :'mark';
COMMIT;

\include sql/install/others_tables.sql
\if :is_moved
\else
  BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
  SET LOCAL search_path = pg_catalog;
  SET LOCAL lock_timeout = '60s';
\include sql/install/remove_analytics.sql
  COMMIT;
\endif
\echo 'schema coworking_analytics was brought up to date'
