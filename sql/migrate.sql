-- Brings schema coworking_analytics up to date. At build time sql/generate puts this file and those that
-- it includes together; analytics-fcgi --migrate passes the result to psql, with these variables:
--   worker, logger: the roles that workers and logger log in as
--   worker_settings, logger_settings: the settings of their sessions, one name=value per line
--   worker_verifier, logger_verifier: the SCRAM verifiers of their passwords; empty: leave the passwords alone
--   rollups: on; or off where nobody may put a trigger on tokens, and reports read tokens directly
-- It may run at any time, repeatedly and concurrently. When the schema is up to date, it changes nothing
-- and needs no rights.
--
-- A superuser may run this, and other roles own our schema. So it reads catalogs and runs DDL. It never
-- calls a function of ours, and never reads or writes a table of ours or of the coworking service: their
-- owners could attach code, which would run as the superuser. What has been applied is recorded in the
-- comment on the schema, whose first line marks the schema as ours.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\set QUIET on
\set mark 'Coworking analytics: reports on users and tokens'

-- Settings are local to a transaction, since behind a pooler others use the same session.
BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
SET LOCAL search_path = pg_catalog;
\include sql/install/state.sql
COMMIT;
\if :has_tables
\else
  DO $body$ BEGIN
    RAISE EXCEPTION 'public.users or public.tokens is missing: let the coworking service create them first';
  END $body$;
\endif
\if :is_foreign
  DO $body$ BEGIN
    RAISE EXCEPTION 'schema coworking_analytics or coworking_analytics_keeper exists and is not ours: rename it; or, to let this service use it, give it the comment "Coworking analytics: reports on users and tokens"';
  END $body$;
\endif

SELECT :'applied'::pg_catalog.jsonb OPERATOR(pg_catalog.@>) :'migrations'::pg_catalog.jsonb
       AND :'functions_are_current' AND :'rollups_are_noted' AND :'rights_are_current' AND :'trigger_is_current'
       AND :'roles_are_current' AND :'is_moved' AND :'worker_verifier' = '' AND :'logger_verifier' = '' AS is_current
\gset
\if :is_current
  \echo 'schema coworking_analytics is up to date'
  \quit
\endif

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '60s';
SET LOCAL check_function_bodies = off; -- a body may name a column that is missing at the moment
-- DO cannot read psql variables.
SELECT set_config('coworking_analytics.worker', :'worker', true),
       set_config('coworking_analytics.worker_settings', :'worker_settings', true),
       set_config('coworking_analytics.worker_verifier', :'worker_verifier', true),
       set_config('coworking_analytics.logger', :'logger', true),
       set_config('coworking_analytics.logger_settings', :'logger_settings', true),
       set_config('coworking_analytics.logger_verifier', :'logger_verifier', true)
\g /dev/null
\include sql/install/roles.sql
\include sql/install/schema.sql
\include sql/install/logins.sql
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
