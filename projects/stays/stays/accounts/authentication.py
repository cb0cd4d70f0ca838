"""Who sends a request: the user whose access token it carries."""

from rest_framework_simplejwt.authentication import JWTAuthentication


class SessionTokenAuthentication(JWTAuthentication):
    """Reads the access token of the Authorization header."""
