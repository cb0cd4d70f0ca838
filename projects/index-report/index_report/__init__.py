"""What to look at in a PostgreSQL database's indexes; see README.md."""
