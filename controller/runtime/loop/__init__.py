"""The single writer and its parts: inbox, permits, schedule, clock, supervision. Used by ``controller.runtime.assembly``."""
