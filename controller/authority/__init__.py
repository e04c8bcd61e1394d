"""Signed commands: rosters, keys, envelopes and their verification. The CLI signs, the controller and the auditor verify."""
