"""The imperative shell around the pure core: it reads, writes, waits and carries out decisions. Run by ``controller.bootstrap``."""
