"""Acceptance suites: black-box tests that a student can point at an API of their own."""

__version__ = "0.1.0"
