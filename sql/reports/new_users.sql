-- Users per date of joining. $1, $2: first and last date, or NULL; $3: day, week or month.
SELECT date_trunc($3, m.joined_at)::date AS date,
       count(*) AS joined,
       count(*) FILTER (WHERE m.is_active) AS active
  FROM analytics.member_states() AS m
 WHERE m.joined_at::date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity')
 GROUP BY 1
 ORDER BY 1
