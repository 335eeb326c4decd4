"""The model `drums-style`: drum styles."""
