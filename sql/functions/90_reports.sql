-- What reports read besides the rollups.

CREATE OR REPLACE FUNCTION coworking_analytics.members()
RETURNS TABLE (user_id bigint, joined_at timestamp)
LANGUAGE sql STABLE
AS $body$
  SELECT u.id::bigint, u.joined_at::timestamp
    FROM public.users AS u
$body$;

COMMENT ON FUNCTION coworking_analytics.members() IS 'Users, and when they joined';

-- Compares the column without a cast, so that its index is used.
CREATE OR REPLACE FUNCTION coworking_analytics.member(user_id bigint)
RETURNS TABLE (joined_at timestamp)
LANGUAGE sql STABLE
AS $body$
  SELECT u.joined_at::timestamp
    FROM public.users AS u
   WHERE u.id = member.user_id
$body$;

COMMENT ON FUNCTION coworking_analytics.member(bigint) IS 'When a user joined';

CREATE OR REPLACE FUNCTION coworking_analytics.member_states()
RETURNS TABLE (joined_at timestamp, is_active boolean)
LANGUAGE sql STABLE
AS $body$
  SELECT u.joined_at::timestamp, u.is_active::boolean
    FROM public.users AS u
$body$;

COMMENT ON FUNCTION coworking_analytics.member_states() IS 'When users joined, and whether they are active';

-- Both sides of the join start after that user, so that a page reads only what it shows.
CREATE OR REPLACE FUNCTION coworking_analytics.user_visits_after(after bigint)
RETURNS TABLE (user_id bigint, joined_at timestamp, visits bigint)
LANGUAGE sql STABLE
AS $body$
  SELECT t.user_id, u.joined_at::timestamp, t.tokens
    FROM coworking_analytics.user_tokens() AS t
    LEFT JOIN public.users AS u ON u.id = t.user_id AND u.id > user_visits_after.after
   WHERE t.user_id > user_visits_after.after
$body$;

COMMENT ON FUNCTION coworking_analytics.user_visits_after(bigint) IS 'Tokens per user, used or not, of users with a higher id';

-- The first day of the day, week or month that holds a date. The earliest date is 4714-11-24 BC, a Monday.
-- Its month began before, and date_trunc() would fail.
CREATE OR REPLACE FUNCTION coworking_analytics.period_start(day date, every text)
RETURNS date
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT CASE
           WHEN every = 'day' THEN day
           WHEN day > '-infinity' AND day < '4714-12-01 BC' THEN date '4714-11-24 BC'
           ELSE date_trunc(every, day::timestamp)::date
         END
$body$;

COMMENT ON FUNCTION coworking_analytics.period_start(date, text) IS
  'The first day of the day, week or month that holds a date';

-- The date a number of days before another, or the earliest date that PostgreSQL has.
CREATE OR REPLACE FUNCTION coworking_analytics.days_before(day date, days integer)
RETURNS date
LANGUAGE sql IMMUTABLE
AS $body$ SELECT day - least(days, day - date '4714-11-24 BC') $body$;

COMMENT ON FUNCTION coworking_analytics.days_before(date, integer) IS
  'The date a number of days before a finite date, or the earliest date that PostgreSQL has';
