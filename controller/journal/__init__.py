"""What gatehouse remembers: one append-only, hash-chained table, one fenced writer (architecture.md §7)."""
