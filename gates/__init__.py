"""Gates: is the evidence good enough for a move up? Pure functions of policy, evidence and time (architecture.md §6)."""
