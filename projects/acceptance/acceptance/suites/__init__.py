"""One module for each suite, with its default mapping beside it: polls.py and polls.toml."""
