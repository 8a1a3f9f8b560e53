"""What is stored, and the store."""
