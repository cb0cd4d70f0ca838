"""A Django project to start from. README.md describes its layout."""
