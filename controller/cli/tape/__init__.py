"""``gatehouse tape``: record, convert and inspect market tapes."""
