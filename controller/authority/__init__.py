"""Who may sign what: rosters, signatures and the envelopes that carry commands (DESIGN §5)."""
