"""How each event changes the state. Callers use ``apply.apply`` and ``apply.fold``: drafts, recovery, replay and the auditor."""
