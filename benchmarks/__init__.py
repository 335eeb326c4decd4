"""Speed, measured: as medians, and as ratios within one run, since machines differ and are noisy."""
