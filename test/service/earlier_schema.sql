-- What main prepared before the schema was called coworking_analytics: the same objects, with bodies that do
-- nothing. Loaded by a test into a database that has the coworking service's tables.
CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'Reports on users and tokens; owned by the analytics service';
DO $$ BEGIN CREATE ROLE coworking_analytics_reader NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE analytics.migrations (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz DEFAULT now() NOT NULL);
INSERT INTO analytics.migrations VALUES (1, '0001_schema'), (2, '0002_reports'), (3, '0003_rights'), (4, '0004_facts'),
  (5, '0005_rollups'), (6, '0006_members');
CREATE TABLE analytics.token_changes (relation oid NOT NULL, change smallint NOT NULL, id bigint NOT NULL, user_id bigint,
  created_at timestamp, used_at timestamp) WITH (vacuum_truncate = off);
CREATE TABLE analytics.daily_tokens (date date PRIMARY KEY, requested integer NOT NULL, used integer NOT NULL,
  used_before_request integer NOT NULL, within_5_minutes integer NOT NULL, within_15_minutes integer NOT NULL,
  within_60_minutes integer NOT NULL);
CREATE TABLE analytics.hourly_visits (hour timestamp PRIMARY KEY, visits integer NOT NULL);
CREATE TABLE analytics.user_tokens (user_id bigint PRIMARY KEY, tokens integer NOT NULL);
CREATE TABLE analytics.fold_state (folded_to bigint NOT NULL, noted_to bigint NOT NULL, noted_since xid8);
INSERT INTO analytics.fold_state VALUES (0, 0, '740');
CREATE TABLE analytics.rollup_basis (relation oid NOT NULL, file oid NOT NULL, columns text[] NOT NULL, trigger text NOT NULL);
CREATE TABLE analytics.inspections (started_at timestamptz DEFAULT clock_timestamp() PRIMARY KEY, finished_at timestamptz,
  drift bigint, rebuilt boolean);
CREATE SEQUENCE analytics.noted_to MINVALUE -9223372036854775808 START 9223372036854775807;
CREATE FUNCTION analytics.are_known(id regtype, user_id regtype, created_at regtype, used_at regtype) RETURNS boolean LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.basis() RETURNS TABLE(relation oid, file oid, columns text[], trigger text) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.changed_dates() RETURNS TABLE(change integer, created_at timestamp, used_at timestamp) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.changed_users() RETURNS TABLE(user_id bigint, tokens bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.changes_to_fold() RETURNS SETOF analytics.token_changes LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.check() RETURNS TABLE(rollup text, key text, kept text, counted text) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.columns_read() RETURNS TABLE(relation name, attribute name, is_there boolean, is_granted boolean) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.daily_usage() RETURNS TABLE(date date, visits bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.day_changes(change integer, created_at timestamp, used_at timestamp) RETURNS TABLE(date date, requested integer, used integer, used_before_request integer, within_5_minutes integer, within_15_minutes integer, within_60_minutes integer) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.days() RETURNS TABLE(date date, requested bigint, used bigint, used_before_request bigint, within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.days_counted() RETURNS TABLE(date date, requested bigint, used bigint, used_before_request bigint, within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.days_kept() RETURNS TABLE(date date, requested bigint, used bigint, used_before_request bigint, within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.demand_read_committed() RETURNS void LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.first_kept_back(kept_back integer) RETURNS bigint LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.fold(most integer, kept_back integer DEFAULT 1000) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS
  'BEGIN END';
CREATE FUNCTION analytics.hold_tokens() RETURNS void LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.hours() RETURNS TABLE(hour timestamp, visits bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.hours_counted() RETURNS TABLE(hour timestamp, visits bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.hours_kept() RETURNS TABLE(hour timestamp, visits bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.inspect() RETURNS TABLE(drift bigint, rebuilt boolean) LANGUAGE plpgsql SECURITY DEFINER AS
  'BEGIN END';
CREATE FUNCTION analytics.is_exact() RETURNS boolean LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.is_within(span interval, created_at timestamp, used_at timestamp) RETURNS boolean LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.lock_tokens(mode text) RETURNS void LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.member(user_id bigint) RETURNS TABLE(joined_at timestamp) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.member_states() RETURNS TABLE(joined_at timestamp, is_active boolean) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.members() RETURNS TABLE(user_id bigint, joined_at timestamp) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  'BEGIN RETURN NULL; END';
CREATE FUNCTION analytics.rebuild() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
  'BEGIN END';
CREATE FUNCTION analytics.recent_dates() RETURNS TABLE(created_at timestamp, used_at timestamp) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.recent_users() RETURNS TABLE(user_id bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.rollups_in_force() RETURNS TABLE(relation oid) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.start_inspection() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS
  'BEGIN END';
CREATE FUNCTION analytics.tokens_trigger() RETURNS TABLE(relation oid, identity text) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.user_tokens() RETURNS TABLE(user_id bigint, tokens bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.user_tokens_counted() RETURNS TABLE(user_id bigint, tokens bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.user_tokens_kept() RETURNS TABLE(user_id bigint, tokens bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.user_visits() RETURNS TABLE(user_id bigint, joined_at timestamp, visits bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE FUNCTION analytics.user_visits_after(after bigint) RETURNS TABLE(user_id bigint, joined_at timestamp, visits bigint) LANGUAGE plpgsql AS
  'BEGIN END';
CREATE TRIGGER analytics_change AFTER INSERT OR UPDATE OR DELETE ON public.tokens
  FOR EACH ROW EXECUTE FUNCTION analytics.note_change();
GRANT USAGE ON SCHEMA analytics TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO coworking_analytics_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA analytics TO coworking_analytics_reader;
GRANT SELECT (id, user_id, created_at, used_at) ON public.tokens TO coworking_analytics_reader, pg_database_owner;
GRANT SELECT (id, joined_at, is_active) ON public.users TO coworking_analytics_reader, pg_database_owner;
ALTER SCHEMA analytics OWNER TO pg_database_owner;
ALTER TABLE analytics.token_changes OWNER TO pg_database_owner;
ALTER FUNCTION analytics.note_change() OWNER TO pg_database_owner;
