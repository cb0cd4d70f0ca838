"""Made-up data to try the polls out. It is there with PLAIN_HTTP only: its password is public."""
