"""The journal: one append-only, hash-chained table with one fenced writer (architecture.md §7). ``runtime`` writes it."""
