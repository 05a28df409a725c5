-- Used tokens per date of creation.
SELECT date, visits
  FROM analytics.daily_usage()
 ORDER BY date
