"""How the model `harmony` was made."""
