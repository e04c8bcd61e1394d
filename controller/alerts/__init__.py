"""Channels for alerts: what people are told outside this machine, and how it is delivered without delaying anything (ADR 68)."""
