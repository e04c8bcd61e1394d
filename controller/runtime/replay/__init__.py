"""Replays the recorded market to a bot that offers it: what was served to it, a place to run it in, and when (ADR 67)."""
