"""Whether the evidence is good enough: pure functions of policy, evidence and time (DESIGN §6)."""
