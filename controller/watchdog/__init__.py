"""The dead man's switch: a process of its own that cancels what is open when the controller falls silent (ADR 27).

``controller.cli.run.watchdog_run`` runs it. It shares no code with the writer and never reads the controller's journal.
"""
