-- Does the next piece of upkeep, and returns the state of the rollups. $1: whether it may take long.
SELECT m.rollups, m.folded, m.behind, m.rebuilt, m.drift, m.next
  FROM coworking_analytics_keeper.maintain($1::boolean) AS m
 ORDER BY 1
