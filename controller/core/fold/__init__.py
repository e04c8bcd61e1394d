"""How each event changes the state. ``apply.fold`` is the entrance; recovery, replay and the writer use it."""
