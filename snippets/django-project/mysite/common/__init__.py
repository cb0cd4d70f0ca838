"""What every application may use; it imports none of them."""
