"""What the shell does at a venue: effects, cancel-all, reconciliation, market data, account checks. Run by the assembly."""
