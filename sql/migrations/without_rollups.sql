-- Takes the rollups away again, those of an earlier form too: first what is on tokens, and on tables that
-- once had this name, each in a transaction of its own, so that no lock is held for more than a moment.
-- Reports read tokens from then on.
DO $body$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT format('DROP TRIGGER IF EXISTS %I ON %s', g.tgname, g.tgrelid::regclass)
      FROM pg_catalog.pg_trigger AS g
      JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
     WHERE p.pronamespace = 'coworking_analytics'::regnamespace
       AND NOT g.tgisinternal
     ORDER BY g.tgrelid
  LOOP
    FOR attempt IN 1..120 LOOP
      BEGIN
        SET LOCAL lock_timeout = '200ms';
        EXECUTE statement;
        EXIT;
      EXCEPTION
        WHEN lock_not_available THEN
          IF attempt = 120 THEN
            RAISE lock_not_available
              USING MESSAGE = 'some transaction keeps public.tokens locked: run this again when it has ended';
          END IF;
          PERFORM pg_sleep(0.3);
      END;
    END LOOP;
    COMMIT;
  END LOOP;
END
$body$;

BEGIN;
SELECT pg_advisory_xact_lock(hashtext('coworking_analytics'))
\g /dev/null
\ir 0004_facts.sql
DROP FUNCTION IF EXISTS
  coworking_analytics.lock_tokens(text), coworking_analytics.inspect(), coworking_analytics.start_inspection(), coworking_analytics.rebuild(),
  coworking_analytics.hold_tokens(), coworking_analytics.check(), coworking_analytics.fold(integer, integer), coworking_analytics.user_tokens_kept(),
  coworking_analytics.hours_kept(), coworking_analytics.days_kept(), coworking_analytics.day_changes(integer, timestamp, timestamp),
  coworking_analytics.changed_users(), coworking_analytics.changed_dates(), coworking_analytics.recent_users(), coworking_analytics.recent_dates(),
  coworking_analytics.rollups_in_force(), coworking_analytics.basis(), coworking_analytics.tokens_trigger(), coworking_analytics.note_change(),
  coworking_analytics.are_known(regtype, regtype, regtype, regtype), coworking_analytics.first_kept_back(integer),
  coworking_analytics.demand_read_committed(), coworking_analytics.changes_to_fold(),
  -- Of the earlier form:
  coworking_analytics.fold(integer), coworking_analytics.triggers(), coworking_analytics.note_insert(), coworking_analytics.note_update(),
  coworking_analytics.note_delete(), coworking_analytics.absent(), coworking_analytics.as_bigint(bigint), coworking_analytics.as_bigint(integer),
  coworking_analytics.as_bigint(smallint), coworking_analytics.as_bigint(oid), coworking_analytics.as_bigint(anyelement),
  coworking_analytics.as_timestamp(timestamp), coworking_analytics.as_timestamp(date), coworking_analytics.as_timestamp(anyelement);
DROP TABLE IF EXISTS
  coworking_analytics.inspections, coworking_analytics.rollup_basis, coworking_analytics.user_tokens, coworking_analytics.hourly_visits, coworking_analytics.daily_tokens,
  coworking_analytics.fold_state, coworking_analytics.token_changes;
DROP SEQUENCE IF EXISTS coworking_analytics.noted_to;
DELETE FROM coworking_analytics.migrations WHERE number = 5;
COMMIT;
