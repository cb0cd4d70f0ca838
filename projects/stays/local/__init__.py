"""Servers for a machine of one's own, from wheels."""
