"""Health, logs, metrics, traces, headers."""
