"""Made-up data to try the shop out. It is there with PLAIN_HTTP only: its passwords are public."""
