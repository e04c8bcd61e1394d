"""Traces, metrics, logs, error reports and alerts. Nothing here can delay or change a decision."""
