"""What all of the REST API shares."""
