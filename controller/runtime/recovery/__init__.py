"""From a journal to a running state: recovery, snapshots, following a leader. Used by ``controller.bootstrap``."""
