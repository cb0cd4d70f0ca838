"""Of the endpoint."""
