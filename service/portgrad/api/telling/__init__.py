"""What operators are told: logs, metrics and traces from records of requests; probes."""
