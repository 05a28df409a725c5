-- Who owns our objects and who may use them. The role that the workers need may run the reports and read
-- the columns that they read, so neither names nor token values are within its reach.
-- Later migrations include this again for what they add; tables and columns that were made anew have
-- lost these grants, and then it runs again too.
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

-- Whoever owns the database may restore all of it with --clean, our schema included. A table that is
-- his already stays alone: ALTER TABLE would make the writers wait.
DO $body$
DECLARE
  statement text;
BEGIN
  SET LOCAL lock_timeout = '500ms';
  IF pg_has_role('pg_database_owner', 'MEMBER') THEN
    FOR statement IN
      SELECT format('ALTER SCHEMA coworking_analytics OWNER TO pg_database_owner')
       UNION ALL
      SELECT format('ALTER TABLE %s OWNER TO pg_database_owner', c.oid::regclass)
        FROM pg_catalog.pg_class AS c
       WHERE c.relnamespace = 'coworking_analytics'::regnamespace AND c.relkind IN ('r', 'S') AND c.relowner <> 'pg_database_owner'::regrole
       UNION ALL
      SELECT format('ALTER FUNCTION %s OWNER TO pg_database_owner', p.oid::regprocedure)
        FROM pg_catalog.pg_proc AS p
       WHERE p.pronamespace = 'coworking_analytics'::regnamespace
    LOOP
      EXECUTE statement;
    END LOOP;
  END IF;
END
$body$;

-- The columns that the reports read, and whether those who read them may: the reader, and the owner of
-- the functions that keep rollups. One that the coworking service dropped costs its reports alone, or the
-- rollups.
CREATE OR REPLACE FUNCTION coworking_analytics.columns_read()
RETURNS TABLE (relation name, attribute name, is_there boolean, is_granted boolean)
LANGUAGE sql STABLE
AS $body$
  SELECT w.relation,
         w.attribute,
         a.attnum IS NOT NULL,
         coalesce(has_column_privilege('coworking_analytics_reader', c.oid, a.attnum, 'SELECT')
                  AND has_column_privilege(ours.nspowner, c.oid, a.attnum, 'SELECT'), false)
    FROM (VALUES ('users', 'id'), ('users', 'joined_at'), ('users', 'is_active'),
                 ('tokens', 'id'), ('tokens', 'user_id'), ('tokens', 'created_at'), ('tokens', 'used_at'))
           AS w (relation, attribute)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'public'
    JOIN pg_catalog.pg_namespace AS ours ON ours.nspname = 'coworking_analytics'
    LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.relation
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.attribute
$body$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA coworking_analytics FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA coworking_analytics TO coworking_analytics_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA coworking_analytics TO coworking_analytics_reader;
DO $body$
DECLARE
  wanted record;
  keeper name := (SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'coworking_analytics');
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA public TO coworking_analytics_reader, %I', keeper);
  FOR wanted IN SELECT * FROM coworking_analytics.columns_read() LOOP
    IF wanted.is_granted THEN
      CONTINUE; -- a grant, even of what is there already, changes what the rollups go by
    ELSIF wanted.is_there THEN
      -- An ALTER TABLE at the same time would fail; so it waits, or we give up before it is a deadlock.
      SET LOCAL lock_timeout = '500ms';
      EXECUTE format('LOCK TABLE public.%I IN ACCESS SHARE MODE', wanted.relation);
      EXECUTE format('GRANT SELECT (%I) ON public.%I TO coworking_analytics_reader, %I',
                     wanted.attribute, wanted.relation, keeper);
    ELSE
      RAISE WARNING 'public.%.% is missing: reports that read it answer 503, rollups that need it are off',
        wanted.relation, wanted.attribute;
    END IF;
  END LOOP;
END
$body$;

-- A migration that has nothing to do asks these without rights.
DO $body$
DECLARE
  open_to_all regprocedure;
BEGIN
  FOR open_to_all IN
    SELECT p.oid
      FROM pg_catalog.pg_proc AS p
     WHERE p.pronamespace = 'coworking_analytics'::regnamespace
       AND p.proname IN ('columns_read', 'tokens_trigger', 'basis', 'rollups_in_force', 'is_exact')
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', open_to_all);
  END LOOP;
END
$body$;

-- Who owns tokens may back up the whole database, and restore tokens with its trigger; nobody else needs
-- what the trigger runs.
DO $body$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT 'GRANT SELECT ON ALL TABLES IN SCHEMA coworking_analytics TO %1$I; GRANT SELECT ON ALL SEQUENCES IN SCHEMA coworking_analytics TO %1$I'
     UNION ALL
    SELECT 'REVOKE EXECUTE ON FUNCTION coworking_analytics.note_change() FROM coworking_analytics_reader;'
           'GRANT EXECUTE ON FUNCTION coworking_analytics.note_change() TO %1$I'
     WHERE to_regprocedure('coworking_analytics.note_change()') IS NOT NULL
  LOOP
    EXECUTE format(statement, (SELECT pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = 'public.tokens'::regclass));
  END LOOP;
END
$body$;
