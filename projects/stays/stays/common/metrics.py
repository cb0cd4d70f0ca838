"""What is counted. `stays.operations.metrics` exports it, with what is looked up then."""

from prometheus_client import Counter

CACHE_READS = Counter(
    "stays_cache_reads_total",
    "Reads of cached pages, by what came of them: hit, miss, or down (computed without a cache)",
    ["result"],
)
REFUSALS = Counter("stays_refusals_total", "Problems answered with", ["status", "code"])
