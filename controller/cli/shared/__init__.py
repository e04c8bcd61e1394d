"""What every verb uses: output, errors, the client of the operator API, signals."""
