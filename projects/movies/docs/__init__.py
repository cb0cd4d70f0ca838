"""Pictures of the project, and what draws them."""
