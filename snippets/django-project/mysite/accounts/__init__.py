"""Who has an account."""
