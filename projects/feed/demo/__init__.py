"""Made-up data to try the feed out. It is there with PLAIN_HTTP only: its passwords are public."""
