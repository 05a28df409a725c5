-- Used tokens per weekday (1 is Monday) and hour of creation. $1, $2: first and last date, or NULL.
SELECT extract(isodow FROM h.hour)::integer AS weekday,
       extract(hour FROM h.hour)::integer AS hour,
       sum(h.visits::integer) AS visits
  FROM coworking_analytics.hours() AS h
 WHERE h.hour::date BETWEEN coalesce($1::date, '-infinity') AND coalesce($2::date, 'infinity')
 GROUP BY 1, 2
 ORDER BY 1, 2
