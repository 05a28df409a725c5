-- A row where the rollups are to be compared with tokens now: rarely.
SELECT 'due' AS inspection
 WHERE coworking_analytics.start_inspection()
 ORDER BY 1
