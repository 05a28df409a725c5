-- Ends wrk's output with a line for programs: requests, microseconds, median latency, failures.
function done(summary, latency)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("%d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), failures))
end
