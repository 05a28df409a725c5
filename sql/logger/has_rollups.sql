-- Whether there is anything to keep: not with ROLLUPS=off, nor before a migration.
SELECT to_regprocedure('coworking_analytics.fold(integer, integer)') IS NOT NULL AS has_rollups
 ORDER BY 1
