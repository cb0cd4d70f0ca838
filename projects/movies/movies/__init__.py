"""A movie recommendation backend that keeps its promises when the outside API does not."""
