"""How every weight in `models/` was made. Imported by nothing; the only part that needs PyTorch."""
