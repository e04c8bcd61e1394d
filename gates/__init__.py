"""Whether the evidence is good enough: pure functions of policy, evidence and time (architecture.md §6)."""
