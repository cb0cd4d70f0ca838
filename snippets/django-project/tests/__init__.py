"""Tests; run them with `python manage.py test`."""
