"""``make release``: what is given out of one commit, built twice to equal bytes and signed (ops/docs/releases.md)."""
