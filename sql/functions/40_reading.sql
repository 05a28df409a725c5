-- Reading: tokens per day, hour and user, from the rollups while they are in force, otherwise from tokens.
-- Reports call days(), hours() and user_tokens(), and never read the tables.
--
-- Function bodies are strings, so PostgreSQL records no dependency on the coworking service's tables: the
-- service can alter, drop and restore them as if we were not there. The functions run with the caller's
-- rights and have no SET clause, because PostgreSQL inlines only such functions. The calling query then
-- streams its rows instead of collecting them first.

-- From tokens. The casts make a report independent of the columns' exact types.
CREATE OR REPLACE FUNCTION coworking_analytics.days_from_tokens()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT m.date, sum(m.requested), sum(m.used), sum(m.used_before_request),
         sum(m.within_5_minutes), sum(m.within_15_minutes), sum(m.within_60_minutes)
    FROM public.tokens AS t
   CROSS JOIN LATERAL coworking_analytics.day_measures(1, t.created_at::timestamp, t.used_at::timestamp) AS m
   -- Never evaluated, but it makes a column of type text an error, as it is in the plain query.
   WHERE true OR t.created_at + interval '0' < t.used_at
   GROUP BY m.date
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.hours_from_tokens()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT date_trunc('hour', t.created_at)::timestamp, count(*)
    FROM public.tokens AS t
   WHERE t.used_at IS NOT NULL
   GROUP BY 1
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.user_tokens_from_tokens()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  -- Groups by the column itself, to use its index. Adding a bigint, unlike a cast, is an error for type text.
  SELECT c.user_id + bigint '0', c.tokens
    FROM (SELECT t.user_id, count(*) AS tokens FROM public.tokens AS t GROUP BY t.user_id) AS c
$body$;

-- From the rollups: their counts, the changes below folded_to since then (token_changes), and the tail, which
-- is the tokens from folded_to on.

-- In plpgsql, so that these queries are planned separately from the report's. The upper bound excludes
-- nothing: without it the planner expects a third of the table, with it few rows, and uses the index.
CREATE OR REPLACE FUNCTION coworking_analytics.tail_dates()
RETURNS TABLE (created_at timestamp, used_at timestamp)
LANGUAGE plpgsql STABLE ROWS 1000
AS $body$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.created_at, t.used_at
    FROM public.tokens AS t
   WHERE t.id BETWEEN (SELECT folded_to FROM coworking_analytics.rollup_state) AND 9223372036854775807;
END
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.tail_users()
RETURNS TABLE (user_id bigint)
LANGUAGE plpgsql STABLE ROWS 1000
AS $body$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.user_id::bigint
    FROM public.tokens AS t
   WHERE t.id BETWEEN (SELECT folded_to FROM coworking_analytics.rollup_state) AND 9223372036854775807;
END
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.changes_to_fold()
RETURNS SETOF coworking_analytics.token_changes
LANGUAGE sql STABLE
AS $body$
  SELECT c.*
    FROM coworking_analytics.token_changes AS c
   WHERE c.id < (SELECT folded_to FROM coworking_analytics.rollup_state)
     AND c.relation = (SELECT relation FROM coworking_analytics.rollup_state)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.unfolded_dates()
RETURNS TABLE (change integer, created_at timestamp, used_at timestamp)
LANGUAGE sql STABLE
AS $body$
  SELECT c.change::integer, c.created_at, c.used_at
    FROM coworking_analytics.changes_to_fold() AS c
  UNION ALL
  SELECT 1, t.created_at, t.used_at
    FROM coworking_analytics.tail_dates() AS t
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.unfolded_users()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT u.user_id, sum(u.change)
    FROM (SELECT c.user_id, c.change::integer
            FROM coworking_analytics.changes_to_fold() AS c
          UNION ALL
          SELECT t.user_id, 1
            FROM coworking_analytics.tail_users() AS t) AS u
   GROUP BY u.user_id
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.days_from_rollups()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT r.date, sum(r.requested), sum(r.used), sum(r.used_before_request),
         sum(r.within_5_minutes), sum(r.within_15_minutes), sum(r.within_60_minutes)
    FROM (SELECT d.*
            FROM coworking_analytics.daily_tokens AS d
          UNION ALL
          SELECT m.*
            FROM coworking_analytics.unfolded_dates() AS u
           CROSS JOIN LATERAL coworking_analytics.day_measures(u.change, u.created_at, u.used_at) AS m) AS r
   GROUP BY r.date
  HAVING sum(r.requested) <> 0
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.hours_from_rollups()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT r.hour, sum(r.visits)
    FROM (SELECT h.hour, h.visits
            FROM coworking_analytics.hourly_visits AS h
          UNION ALL
          SELECT date_trunc('hour', u.created_at), u.change
            FROM coworking_analytics.unfolded_dates() AS u
           WHERE u.used_at IS NOT NULL) AS r
   GROUP BY r.hour
  HAVING sum(r.visits) <> 0
$body$;

-- A join instead of one GROUP BY over both, as above: that would have to count all users before it could send
-- the first.
CREATE OR REPLACE FUNCTION coworking_analytics.user_tokens_from_rollups()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT r.user_id, r.tokens + coalesce(u.tokens, 0)
     FROM coworking_analytics.user_tokens AS r
     LEFT JOIN coworking_analytics.unfolded_users() AS u ON u.user_id = r.user_id
    WHERE r.tokens + coalesce(u.tokens, 0) <> 0
    ORDER BY r.user_id)
  UNION ALL
  (SELECT u.user_id, u.tokens
     FROM coworking_analytics.unfolded_users() AS u
    WHERE NOT EXISTS (SELECT FROM coworking_analytics.user_tokens AS r WHERE r.user_id = u.user_id)
      AND u.tokens <> 0
    ORDER BY u.user_id)
$body$;

-- Only one of the two halves runs: each evaluates its condition once, before it starts. Both lock tokens, as
-- a plain query does, so no TRUNCATE or ALTER TABLE can come between the condition and the rows. (With a
-- snapshot from before a TRUNCATE, the plain query is wrong too.) Each half is sorted, so that the report's
-- ORDER BY merges the two without another sort.
CREATE OR REPLACE FUNCTION coworking_analytics.days()
RETURNS TABLE (date date, requested bigint, used bigint, used_before_request bigint,
               within_5_minutes bigint, within_15_minutes bigint, within_60_minutes bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM coworking_analytics.days_from_rollups()
    WHERE EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM coworking_analytics.days_from_tokens()
    WHERE NOT EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.hours()
RETURNS TABLE (hour timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM coworking_analytics.hours_from_rollups()
    WHERE EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM coworking_analytics.hours_from_tokens()
    WHERE NOT EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
$body$;

CREATE OR REPLACE FUNCTION coworking_analytics.user_tokens()
RETURNS TABLE (user_id bigint, tokens bigint)
LANGUAGE sql STABLE
AS $body$
  (SELECT * FROM coworking_analytics.user_tokens_from_rollups()
    WHERE EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
  UNION ALL
  (SELECT * FROM coworking_analytics.user_tokens_from_tokens()
    WHERE NOT EXISTS (SELECT FROM coworking_analytics.rollups_in_force()) ORDER BY 1)
$body$;

COMMENT ON FUNCTION coworking_analytics.days() IS 'Tokens per date of creation: requested, used, and how soon';
COMMENT ON FUNCTION coworking_analytics.hours() IS 'Used tokens per hour of creation';
COMMENT ON FUNCTION coworking_analytics.user_tokens() IS 'Tokens per user, used or not';
