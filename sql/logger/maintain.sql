-- Does the next piece of what the rollups need, and says how they are. $1: whether it may take long.
SELECT m.rollups, m.folded, m.behind, m.rebuilt, m.drift, m.next
  FROM coworking_analytics_keeper.maintain($1::boolean) AS m
 ORDER BY 1
