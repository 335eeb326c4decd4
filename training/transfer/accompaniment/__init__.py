"""The model `accompaniment`: pitched styles."""
