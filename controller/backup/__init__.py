"""Copies of a deployment: made, verified and put back (ops/docs/backup.md, ADR 69)."""
