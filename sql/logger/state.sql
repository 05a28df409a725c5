-- Whether reports read the rollups.
SELECT CASE WHEN analytics.is_exact() THEN 'on' ELSE 'set aside' END AS rollups
 ORDER BY 1
