"""One REST endpoint, done right: places that are offered."""
