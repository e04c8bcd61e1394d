"""A witness: a small program on another machine that lets a log grow and never lets it change (C2SP tlog-witness)."""
