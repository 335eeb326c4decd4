"""Training of the dynamics network: players' phrasing of pitched tracks."""
