-- What wrk has seen -> one line of JSON, with the exact bytes and percentiles that its own summary rounds.
function done(summary, latency)
  local e = summary.errors
  print(string.format('{"requests": %d, "bytes": %.0f, "errors": %d, "seconds": %.6f, "p50": %.0f, "p99": %.0f}',
    summary.requests, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
