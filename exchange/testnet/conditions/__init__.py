"""What goes wrong on demand: faults, latency, clock skew, listings."""
