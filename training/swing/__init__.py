"""How jazz soloists swing their eighths: the table behind `swing: jazz`."""
