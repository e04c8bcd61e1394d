"""Verifies what left the deployment, in any process: an export, an evidence bundle, a report. Nothing but the files is needed."""
