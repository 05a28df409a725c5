-- The functions behind the reports. Their bodies are strings, so that PostgreSQL notes no dependency
-- of ours on the coworking service's tables: it may alter, drop and restore them as if we were not
-- there. The casts make a report independent of the columns' exact types.
-- They run with the caller's rights and have no SET clause: only such functions are merged into the
-- calling query, which then streams instead of first collecting all rows.
CREATE OR REPLACE FUNCTION coworking_analytics.daily_usage()
RETURNS TABLE (date date, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT t.created_at::date, count(*)
    FROM public.tokens AS t
   WHERE t.used_at IS NOT NULL
   GROUP BY 1
$body$;

COMMENT ON FUNCTION coworking_analytics.daily_usage() IS 'Used tokens per date of creation';

CREATE OR REPLACE FUNCTION coworking_analytics.user_visits()
RETURNS TABLE (user_id bigint, joined_at timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT t.user_id::bigint, u.joined_at::timestamp, count(*)
    FROM public.tokens AS t
    LEFT JOIN public.users AS u ON u.id = t.user_id
   GROUP BY 1, 2
$body$;

COMMENT ON FUNCTION coworking_analytics.user_visits() IS 'Tokens per user, used or not';
