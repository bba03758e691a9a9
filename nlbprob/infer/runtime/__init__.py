"""How programs are compiled and run: for all of inference, and knowing nothing of it."""
