-- Tokens per date of creation: requested, used, and how soon. $1, $2: first and last date, or NULL.
SELECT d.date, d.requested, d.used, d.used_before_request,
       d.within_5_minutes, d.within_15_minutes, d.within_60_minutes
  FROM coworking_analytics.days() AS d
 WHERE d.date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity')
 ORDER BY d.date
