"""The bench of Project Nexus."""
