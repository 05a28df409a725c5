-- For pgbench: the shortest query, which measures the round trip.
SELECT 1;
