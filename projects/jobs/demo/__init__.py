"""Made-up data to try the jobs out. It is there with PLAIN_HTTP only: its passwords are public."""
