"""A TMDb of one's own: it answers as version 3 of the API is documented, and misbehaves as told."""
