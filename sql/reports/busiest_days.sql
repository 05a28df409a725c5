-- Used tokens per date of creation, most first, ties by date; dates without any are left out. $1, $2: first and
-- last date, or NULL. $3: how many dates, or NULL for all.
SELECT d.date, d.used AS visits
  FROM coworking_analytics.days() AS d
 WHERE d.used > 0
   AND d.date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity')
 ORDER BY d.used DESC, d.date
 LIMIT $3::bigint
