-- Totals of a period and of the equally long period before it. $2: the last date, or NULL for the last date
-- with a token; $1: the first date, or NULL for 29 days earlier. No row when there are no tokens.
SELECT p.first_date AS "from",
       p.last_date AS "to",
       t.visits, t.requested, t.previous_visits, t.previous_requested, u.new_users, u.previous_new_users
  FROM (SELECT coalesce($2::date, l.last_date) AS last_date,
               coalesce($1::date, coworking_analytics.days_before(coalesce($2::date, l.last_date), 29)) AS first_date
          FROM (SELECT max(d.date) FILTER (WHERE isfinite(d.date)) AS last_date
                  FROM coworking_analytics.days() AS d
                HAVING count(*) > 0) AS l
         WHERE coalesce($2::date, l.last_date) IS NOT NULL) AS p
 CROSS JOIN LATERAL (SELECT coworking_analytics.days_before(p.first_date, p.last_date - p.first_date + 1) AS first_date) AS previous
 CROSS JOIN LATERAL (SELECT coalesce(sum(d.used::integer) FILTER (WHERE d.date >= p.first_date), 0) AS visits,
                            coalesce(sum(d.requested::integer) FILTER (WHERE d.date >= p.first_date), 0) AS requested,
                            coalesce(sum(d.used::integer) FILTER (WHERE d.date < p.first_date), 0) AS previous_visits,
                            coalesce(sum(d.requested::integer) FILTER (WHERE d.date < p.first_date), 0) AS previous_requested
                       FROM coworking_analytics.days() AS d
                      WHERE d.date BETWEEN previous.first_date AND p.last_date) AS t
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE m.joined_at::date >= p.first_date) AS new_users,
                            count(*) FILTER (WHERE m.joined_at::date < p.first_date) AS previous_new_users
                       FROM coworking_analytics.members() AS m
                      WHERE m.joined_at::date BETWEEN previous.first_date AND p.last_date) AS u
 ORDER BY 1
