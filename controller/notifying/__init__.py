"""Tells the service manager how a process of gatehouse is (ADR 70)."""
