-- The measures of a day: this is the only place that defines which tokens each of them counts.

-- Adding an interval to one of the last timestamps would be an error, so created_at is capped first.
CREATE OR REPLACE FUNCTION coworking_analytics.is_within(span interval, created_at timestamp, used_at timestamp)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT used_at >= created_at
         AND (created_at = 'infinity' OR used_at <= least(created_at, timestamp '294276-12-31') + span)
$body$;

-- What one token adds to its day: change is 1 for a new version of a token and -1 for an old one.
CREATE OR REPLACE FUNCTION coworking_analytics.day_measures(change integer, created_at timestamp, used_at timestamp)
RETURNS TABLE (date date, requested integer, used integer, used_before_request integer,
               within_5_minutes integer, within_15_minutes integer, within_60_minutes integer)
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT created_at::date,
         change,
         CASE WHEN used_at IS NOT NULL THEN change ELSE 0 END,
         CASE WHEN used_at < created_at THEN change ELSE 0 END,
         CASE WHEN coworking_analytics.is_within('5 minutes', created_at, used_at) THEN change ELSE 0 END,
         CASE WHEN coworking_analytics.is_within('15 minutes', created_at, used_at) THEN change ELSE 0 END,
         CASE WHEN coworking_analytics.is_within('60 minutes', created_at, used_at) THEN change ELSE 0 END
$body$;
