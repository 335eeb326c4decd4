"""Training of the groove network: drummers' timing and velocity."""
