"""Drawings as SVG text, made by pure functions without a script: ``controller.report.page`` puts them into the page."""
