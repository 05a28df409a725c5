-- The role that the workers need, and no more: it may run the reports and read the columns that they
-- read, so neither names nor token values are within its reach.
-- Tables that were dropped and made anew have lost these grants; then this runs again.
DO $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'coworking_analytics_reader') THEN
    CREATE ROLE coworking_analytics_reader NOLOGIN;
  END IF;
END
$body$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA analytics FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA analytics TO coworking_analytics_reader;
GRANT USAGE ON SCHEMA public TO coworking_analytics_reader;
GRANT SELECT (id, joined_at) ON public.users TO coworking_analytics_reader;
GRANT SELECT (user_id, created_at, used_at) ON public.tokens TO coworking_analytics_reader;
