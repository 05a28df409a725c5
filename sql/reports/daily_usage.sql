-- Used tokens per date of creation. $1, $2: first and last date, or NULL; $3: day, week or month.
SELECT coworking_analytics.period_start(d.date, $3) AS date,
       sum(d.used::integer) AS visits
  FROM coworking_analytics.days() AS d
 WHERE d.used > 0
   AND d.date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity')
 GROUP BY 1
 ORDER BY 1
