"""The command line: one file per group of verbs. It talks to a running controller and decides nothing itself."""
