"""One robust REST endpoint: places that hosts offer."""
