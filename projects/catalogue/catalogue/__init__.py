"""A product catalogue: search, facets, stock and orders over a million products."""
