"""Training of the transfer stage's two networks: `accompaniment` and `drums`."""
