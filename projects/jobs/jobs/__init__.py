"""A job board: employers offer jobs, and people apply for them."""
