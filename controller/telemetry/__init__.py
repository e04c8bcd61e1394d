"""Traces, metrics, logs, error reports and alerts of the controller. It never delays or changes a decision."""
