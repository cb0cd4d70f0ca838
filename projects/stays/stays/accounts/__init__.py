"""Users, sessions, who may come in."""
