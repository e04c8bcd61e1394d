"""Conditions that tests switch on: faults, latency, clock skew, listings."""
