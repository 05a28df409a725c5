-- For pgbench: the shortest query there is, which shows what a round trip costs.
SELECT 1;
