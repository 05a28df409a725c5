-- Users per date of joining. $1, $2: first and last date, or NULL; $3: day, week or month.
SELECT coworking_analytics.period_start(d.date, $3) AS date,
       sum(d.joined::integer) AS joined,
       sum(d.active::integer) AS active
  FROM (SELECT m.joined_at::date AS date, count(*) AS joined, count(*) FILTER (WHERE m.is_active) AS active
          FROM coworking_analytics.member_states() AS m
         GROUP BY 1) AS d -- by day first, since period_start() is then called once a day
 WHERE d.date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity')
 GROUP BY 1
 ORDER BY 1
