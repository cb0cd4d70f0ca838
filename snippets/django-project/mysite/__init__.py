"""A Django project to start from. README.md tells how it is laid out."""
