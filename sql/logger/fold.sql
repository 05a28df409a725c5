-- Moves some of the changes into the rollups; how many says whether there may be more.
SELECT coworking_analytics.fold(50000) AS folded
 ORDER BY 1
