"""What a fit leaves, and what can be read from it."""
