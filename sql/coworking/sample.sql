-- Sample data, the same every time: 1,000 users, and 2,500 tokens over the 13 weeks from 2026-06-01.
-- Weekdays and mornings around 9 are busy, weekends quiet. For the private database and the tests.
BEGIN;

-- A number in [0, 1) for each item and purpose. random() would differ between versions of PostgreSQL.
CREATE FUNCTION pg_temp.chance(item integer, purpose text) RETURNS double precision
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT ('x' || substr(md5(purpose || item), 1, 8))::bit(32)::bigint / 4294967296.0
$body$;

-- Users join over a year, at a growing rate; a higher id means a later date.
INSERT INTO users (first_name, last_name, joined_at, is_active)
SELECT (ARRAY['Ada', 'Béla', 'Chidi', 'Dana', 'Emeka', 'Fatma', 'Goran', 'Hana', 'Ines', 'Jun',
              'Kofi', 'Lena', 'Mei', 'Noor', 'Olu', 'Petra', 'Quinn', 'Rosa', 'Sven', 'Tara'])
         [1 + floor(20 * pg_temp.chance(n, 'first'))::integer],
       (ARRAY['Ahmed', 'Berg', 'Costa', 'Dubois', 'Eze', 'Fischer', 'García', 'Hughes', 'Ito',
              'Jansen', 'Kowalska', 'Lindqvist', 'Moreau', 'Nkemelu', 'O''Hara', 'Park', 'Quist',
              'Rossi', 'Silva', 'Tanaka'])
         [1 + floor(20 * pg_temp.chance(n, 'last'))::integer],
       timestamp '2025-08-30' + sqrt(n / 1001.0) * interval '365 days'
         + pg_temp.chance(n, 'second') * interval '6 hours',
       pg_temp.chance(n, 'active') < 0.93
  FROM generate_series(1, 1000) AS n
 ORDER BY n;

-- A token falls into each hour with a probability proportional to the hour's weight.
WITH hours AS (
  SELECT hour,
         sum((ARRAY[1.0, 1.15, 1.2, 1.1, 0.8, 0.25, 0.15])[extract(isodow FROM hour)::integer]
             * (ARRAY[0, 0, 0, 0, 0, 0.1, 0.5, 2, 6, 9, 7, 4, 3, 5, 5, 4, 3, 2, 1.5, 1, 0.5, 0.2, 0.1,
                      0])[1 + extract(hour FROM hour)::integer]) OVER (ORDER BY hour) AS reached
    FROM generate_series(timestamp '2026-06-01', timestamp '2026-08-30 23:00', interval '1 hour') AS hour
), scale AS (
  SELECT array_agg(hour ORDER BY hour) AS hours,
         array_agg(reached::double precision ORDER BY hour) AS steps,
         max(reached)::double precision AS height,
         (SELECT array_agg(joined_at ORDER BY joined_at) FROM users) AS joins
    FROM hours
), requests AS (
  SELECT n,
         joins,
         hours[1 + width_bucket(height * pg_temp.chance(n, 'hour'), steps)]
           + pg_temp.chance(n, 'minute') * interval '1 hour' AS created_at
    FROM scale, generate_series(1, 2500) AS n
)
INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT -- A user who had joined by then; early ones are more likely.
       1 + floor(pg_temp.chance(n, 'user') ^ 1.6 * width_bucket(created_at, joins))::integer,
       lpad(floor(1000000 * pg_temp.chance(n, 'token'))::text, 6, '0'),
       date_trunc('milliseconds', created_at),
       CASE
         WHEN pg_temp.chance(n, 'used') < 0.88 THEN
           date_trunc('milliseconds', created_at + pg_temp.chance(n, 'wait') ^ 3 * interval '90 minutes')
       END
  FROM requests
 ORDER BY created_at, n;

COMMIT;
ANALYZE users, tokens;
