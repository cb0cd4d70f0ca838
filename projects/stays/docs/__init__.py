"""Pictures of the project, drawn from the project as it runs."""
