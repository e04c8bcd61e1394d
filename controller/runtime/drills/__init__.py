"""The faults that drills practise in the running controller, one file for each kind of fault, and what runs them."""
