"""Who may sign what: rosters, signatures and the envelopes that carry commands (architecture.md §5)."""
