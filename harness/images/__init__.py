"""What images are built from, what that takes, and building them."""
