-- What the reports are made of: tokens per day, per hour and per user. The reports read days(),
-- hours() and user_tokens() alone; whether those count, as here, or read a rollup (0005) is their
-- affair. Bodies are strings without a SET clause for the reasons given in 0002.

-- created_at is kept off the end of time, where adding to it is an error.
CREATE OR REPLACE FUNCTION coworking_analytics.is_within(span interval, created_at timestamp, used_at timestamp)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT used_at >= created_at
         AND (created_at = 'infinity' OR used_at <= least(created_at, timestamp '294276-12-31') + span)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.days_counted()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT t.created_at::date,
         count(*),
         count(t.used_at),
         count(*) FILTER (WHERE t.used_at < t.created_at),
         count(*) FILTER (WHERE coworking_analytics.is_within('5 minutes', t.created_at::timestamp, t.used_at::timestamp)),
         count(*) FILTER (WHERE coworking_analytics.is_within('15 minutes', t.created_at::timestamp, t.used_at::timestamp)),
         count(*) FILTER (WHERE coworking_analytics.is_within('60 minutes', t.created_at::timestamp, t.used_at::timestamp))
    FROM public.tokens AS t
   GROUP BY 1
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.hours_counted()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT date_trunc('hour', t.created_at)::timestamp, count(*)
    FROM public.tokens AS t
   WHERE t.used_at IS NOT NULL
   GROUP BY 1
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.user_tokens_counted()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  -- Grouped as it is stored, since the index has it in that order. Not a cast, which would take texts.
  SELECT c.user_id + bigint '0', c.tokens
    FROM (SELECT t.user_id, count(*) AS tokens FROM public.tokens AS t GROUP BY t.user_id) AS c
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.days()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$ SELECT * FROM coworking_analytics.days_counted() $body$;

CREATE OR REPLACE FUNCTION coworking_analytics.hours()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$ SELECT * FROM coworking_analytics.hours_counted() $body$;

CREATE OR REPLACE FUNCTION coworking_analytics.user_tokens()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$ SELECT * FROM coworking_analytics.user_tokens_counted() $body$;

COMMENT ON FUNCTION coworking_analytics.days() IS 'Tokens per date of creation: asked for, used, and how soon';
COMMENT ON FUNCTION coworking_analytics.hours() IS 'Used tokens per hour of creation';
COMMENT ON FUNCTION coworking_analytics.user_tokens() IS 'Tokens per user, used or not';

CREATE OR REPLACE FUNCTION coworking_analytics.is_exact()
RETURNS boolean
LANGUAGE sql STABLE
AS $body$ SELECT false $body$;

COMMENT ON FUNCTION coworking_analytics.is_exact() IS 'Whether reports read the rollups; else they read tokens, as exactly';

-- What the release before asks for: its workers go on while this one is rolled out.
CREATE OR REPLACE FUNCTION coworking_analytics.daily_usage()
RETURNS TABLE (date date, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT d.date, d.used
    FROM coworking_analytics.days() AS d
   WHERE d.used > 0
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.user_visits()
RETURNS TABLE (user_id bigint, joined_at timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT t.user_id, u.joined_at::timestamp, t.tokens
    FROM coworking_analytics.user_tokens() AS t
    LEFT JOIN public.users AS u ON u.id = t.user_id
$body$;

\ir 0003_rights.sql
