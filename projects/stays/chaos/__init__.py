"""Everything behind a request is killed, again and again, and then it is counted what was lost."""
