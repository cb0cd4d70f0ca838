"""Places that hosts offer."""
