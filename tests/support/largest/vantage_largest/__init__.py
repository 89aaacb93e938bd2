"""A skill and its family from another distribution: which of two objects covers more of the image."""
