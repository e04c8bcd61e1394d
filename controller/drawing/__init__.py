"""Drawings as SVG text, made by pure functions without a script: the pages of the report and of the console use them."""
