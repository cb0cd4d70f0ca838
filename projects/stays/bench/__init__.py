"""What the project does in a second, how long a request takes, and what memory it needs."""
