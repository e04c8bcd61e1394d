"""The console's pages, rendered on the server (ADR 71). ``controller.console.app`` serves them; ``frame`` is what all share."""
