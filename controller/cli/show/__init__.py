"""The verbs that only read: status, gates, explain, report, policy."""
