-- Takes the rollups away again, those of an earlier form too: first what is on tokens, in a transaction of
-- its own, so that the lock is held for a moment only. Reports read tokens from then on.
BEGIN;
DO $body$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_trigger AS g
              WHERE g.tgrelid = 'public.tokens'::regclass
                AND g.tgname IN ('analytics_change', 'analytics_insert', 'analytics_update', 'analytics_delete')) THEN
    PERFORM analytics.lock_tokens('ACCESS EXCLUSIVE');
    DROP TRIGGER IF EXISTS analytics_change ON public.tokens;
    DROP TRIGGER IF EXISTS analytics_insert ON public.tokens;
    DROP TRIGGER IF EXISTS analytics_update ON public.tokens;
    DROP TRIGGER IF EXISTS analytics_delete ON public.tokens;
  END IF;
END
$body$;
COMMIT;

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
  analytics.first_place(bigint),
  -- Of the earlier form:
  analytics.fold(integer), analytics.triggers(), analytics.note_insert(), analytics.note_update(),
  analytics.note_delete(), analytics.absent(), analytics.as_bigint(bigint), analytics.as_bigint(integer),
  analytics.as_bigint(smallint), analytics.as_bigint(oid), analytics.as_bigint(anyelement),
  analytics.as_timestamp(timestamp), analytics.as_timestamp(date), analytics.as_timestamp(anyelement);
DROP TABLE IF EXISTS
  analytics.inspections, analytics.rollup_basis, analytics.user_tokens, analytics.hourly_visits, analytics.daily_tokens,
  analytics.fold_state, analytics.token_changes;
DROP SEQUENCE IF EXISTS analytics.noted_blocks;
DO $body$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = 'public.tokens'::regclass AND relkind IN ('r', 'p')) THEN
    EXECUTE format('REVOKE SELECT (ctid) ON public.tokens FROM coworking_analytics_reader, %I',
                   (SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'analytics'));
  END IF;
END
$body$;
DELETE FROM analytics.migrations WHERE number = 5;
COMMIT;
