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
     WHERE p.pronamespace = 'analytics'::regnamespace
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
  analytics.lock_tokens(text), analytics.inspect(), analytics.start_inspection(), analytics.rebuild(),
  analytics.hold_tokens(), analytics.check(), analytics.fold(integer, integer), analytics.user_tokens_kept(),
  analytics.hours_kept(), analytics.days_kept(), analytics.day_changes(integer, timestamp, timestamp),
  analytics.changed_users(), analytics.changed_dates(), analytics.recent_users(), analytics.recent_dates(),
  analytics.rollups_in_force(), analytics.basis(), analytics.tokens_trigger(), analytics.note_change(),
  analytics.are_known(regtype, regtype, regtype, regtype), analytics.first_kept_back(integer),
  analytics.demand_read_committed(), analytics.changes_to_fold(),
  -- Of the earlier form:
  analytics.fold(integer), analytics.triggers(), analytics.note_insert(), analytics.note_update(),
  analytics.note_delete(), analytics.absent(), analytics.as_bigint(bigint), analytics.as_bigint(integer),
  analytics.as_bigint(smallint), analytics.as_bigint(oid), analytics.as_bigint(anyelement),
  analytics.as_timestamp(timestamp), analytics.as_timestamp(date), analytics.as_timestamp(anyelement);
DROP TABLE IF EXISTS
  analytics.inspections, analytics.rollup_basis, analytics.user_tokens, analytics.hourly_visits, analytics.daily_tokens,
  analytics.fold_state, analytics.token_changes;
DROP SEQUENCE IF EXISTS analytics.noted_to;
DELETE FROM analytics.migrations WHERE number = 5;
COMMIT;
