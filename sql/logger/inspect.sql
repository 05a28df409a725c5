-- How many rows of the rollups differed from tokens; what differs is made anew.
SELECT drift, CASE WHEN rebuilt THEN 'rebuilt' ELSE 'on' END AS rollups
  FROM coworking_analytics.inspect()
 ORDER BY drift
