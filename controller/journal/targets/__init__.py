"""The places checkpoints are published to, one kind per file."""
