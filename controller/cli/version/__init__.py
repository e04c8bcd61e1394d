"""``gatehouse version``: which version is installed, and whether its files are those that were signed (ADR 72)."""
