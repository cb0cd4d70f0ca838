"""The picture of the tables."""
