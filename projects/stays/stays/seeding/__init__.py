"""A made-up marketplace, for development, demonstrations and measurements."""
