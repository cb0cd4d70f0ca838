"""Pictures, and the program that draws them."""
