-- Whether reports read the rollups.
SELECT CASE WHEN coworking_analytics.is_exact() THEN 'on' ELSE 'set aside' END AS rollups
 ORDER BY 1
