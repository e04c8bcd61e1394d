"""``make audit``: dependencies, code, history and build files, looked at for known faults (ops/audit/README.md)."""
