"""The one writer and what drives it: inbox, permits, schedule, clock, supervision."""
