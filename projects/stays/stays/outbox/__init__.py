"""Tasks that are sent if and only if their transaction commits."""
