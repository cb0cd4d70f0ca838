"""Pictures of the project."""
