-- Creates the login roles of workers and logger, and sets their passwords, where the migration was given
-- passwords that do not let them in. It never touches a role that is not ours by name.
DO $body$
DECLARE
  login record;
BEGIN
  FOR login IN
    SELECT w.role, w.verifier, w.connections
      FROM (VALUES (current_setting('coworking_analytics.worker'), current_setting('coworking_analytics.worker_verifier'), 30),
                   (current_setting('coworking_analytics.logger'), current_setting('coworking_analytics.logger_verifier'), 6))
             AS w (role, verifier, connections)
     WHERE w.verifier <> ''
     ORDER BY w.role
  LOOP
    IF NOT starts_with(login.role, 'coworking_analytics_')
       OR login.role IN ('coworking_analytics_reader', 'coworking_analytics_logger', 'coworking_analytics_keeper')
       OR EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = login.role AND (r.rolsuper OR NOT r.rolcanlogin))
    THEN
      RAISE EXCEPTION 'the migration sets no password of role %: it only does so for login roles without superuser rights whose names begin with coworking_analytics_', login.role;
    END IF;
    BEGIN
      EXECUTE format('CREATE ROLE %I LOGIN CONNECTION LIMIT %s', login.role, login.connections);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    EXECUTE format('ALTER ROLE %I PASSWORD %L', login.role, login.verifier);
  END LOOP;
END
$body$;
