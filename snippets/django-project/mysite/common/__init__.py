"""Code that every application may use. It imports none of them."""
