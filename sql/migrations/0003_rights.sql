-- The role that the workers need, and no more: it may run the reports and read the columns that they
-- read, so neither names nor token values are within its reach.
-- Tables and columns that were made anew have lost these grants; then this runs again.
DO $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'coworking_analytics_reader') THEN
    CREATE ROLE coworking_analytics_reader NOLOGIN;
  END IF;
EXCEPTION
  WHEN duplicate_object OR unique_violation THEN
    NULL; -- roles are the whole cluster's: another of its databases was prepared at this moment
END
$body$;

-- The columns that the reports read. One that the coworking service dropped costs its reports alone.
CREATE OR REPLACE FUNCTION analytics.columns_read()
RETURNS TABLE (relation name, attribute name, is_there boolean, is_granted boolean)
LANGUAGE sql STABLE
AS $body$
  SELECT w.relation,
         w.attribute,
         a.attnum IS NOT NULL,
         coalesce(has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT'), false)
    FROM (VALUES ('users', 'id'), ('users', 'joined_at'),
                 ('tokens', 'user_id'), ('tokens', 'created_at'), ('tokens', 'used_at'))
           AS w (relation, attribute)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'public'
    LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.relation
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.attribute
    LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = 'coworking_analytics_reader'
$body$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA analytics FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA analytics TO coworking_analytics_reader;
GRANT EXECUTE ON FUNCTION analytics.columns_read() TO PUBLIC;
GRANT USAGE ON SCHEMA public TO coworking_analytics_reader;
DO $body$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN SELECT * FROM analytics.columns_read() LOOP
    IF wanted.is_there THEN
      EXECUTE format('GRANT SELECT (%I) ON public.%I TO coworking_analytics_reader',
                     wanted.attribute, wanted.relation);
    ELSE
      RAISE WARNING 'public.%.% is missing: reports that read it answer 503', wanted.relation, wanted.attribute;
    END IF;
  END LOOP;
END
$body$;

-- Whoever owns the database may restore all of it with --clean, our schema included.
DO $body$
BEGIN
  IF pg_has_role('pg_database_owner', 'MEMBER') THEN
    ALTER SCHEMA analytics OWNER TO pg_database_owner;
    ALTER TABLE analytics.migrations OWNER TO pg_database_owner;
    ALTER FUNCTION analytics.daily_usage() OWNER TO pg_database_owner;
    ALTER FUNCTION analytics.user_visits() OWNER TO pg_database_owner;
    ALTER FUNCTION analytics.columns_read() OWNER TO pg_database_owner;
  END IF;
END
$body$;
