-- Grants the login roles their memberships, and gives settings to those that are ours by name
-- (coworking_analytics_...): behind a pooler a session's settings can come only from its role.
DO $body$
DECLARE
  worker CONSTANT name := current_setting('coworking_analytics.worker');
  logger CONSTANT name := current_setting('coworking_analytics.logger');
  statements text[];
  statement text;
BEGIN
  SELECT coalesce(array_agg(DISTINCT format('GRANT %I TO %I', m.role, m.login)), '{}')
    INTO statements
    FROM (VALUES ('coworking_analytics_reader', worker),
                 ('coworking_analytics_reader', logger),
                 ('coworking_analytics_logger', logger),
                 ('coworking_analytics_keeper', current_user),
                 -- A role that owns both the database and tokens can then restore all of it, what the keeper
                 -- owns included.
                 ('coworking_analytics_keeper', (SELECT pg_get_userbyid(d.datdba)
                                                   FROM pg_database AS d
                                                   JOIN pg_class AS c ON c.oid = 'public.tokens'::regclass
                                                  WHERE d.datname = current_database()
                                                    AND pg_has_role(d.datdba, c.relowner, 'USAGE')))) AS m (role, login)
   WHERE m.login IS NOT NULL
     AND NOT EXISTS (SELECT FROM pg_roles AS l WHERE l.rolname = m.login AND pg_has_role(l.oid, m.role, 'USAGE'));
  FOREACH statement IN ARRAY statements LOOP
    BEGIN
      EXECUTE statement;
    EXCEPTION
      WHEN unique_violation THEN
        NULL; -- a migration of another database has just granted it
      WHEN insufficient_privilege THEN
        RAISE insufficient_privilege
          USING MESSAGE = format('%s: have a superuser run %s', SQLERRM, array_to_string(statements, '; '));
    END;
  END LOOP;
END
$body$;
DO $body$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT DISTINCT format('ALTER ROLE %I SET %I TO %L', s.login, split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1))
      FROM (VALUES (current_setting('coworking_analytics.worker'), current_setting('coworking_analytics.worker_settings')),
                   (current_setting('coworking_analytics.logger'), current_setting('coworking_analytics.logger_settings')))
             AS s (login, settings)
      JOIN pg_roles AS l ON l.rolname = s.login AND starts_with(l.rolname, 'coworking_analytics_') AND NOT l.rolsuper
     CROSS JOIN string_to_table(s.settings, E'\n') AS setting
     WHERE setting <> ''
       AND NOT EXISTS (SELECT
                         FROM pg_db_role_setting AS d
                        WHERE d.setrole = l.oid AND d.setdatabase = 0 AND setting = ANY (d.setconfig))
  LOOP
    EXECUTE statement;
  END LOOP;
END
$body$;

-- The keeper's functions have a schema that the keeper owns, so it needs no CREATE in the schema that
-- workers read.
DO $body$
BEGIN
  IF to_regnamespace('coworking_analytics_keeper') IS NULL THEN
    CREATE SCHEMA coworking_analytics_keeper AUTHORIZATION coworking_analytics_keeper;
  END IF;
  ALTER SCHEMA coworking_analytics_keeper OWNER TO coworking_analytics_keeper; -- after a restore its owner may differ
END
$body$;
