"""The shell around the pure core: reads, writes, waits, and carries decisions out."""
