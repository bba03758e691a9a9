"""Which model to take, judged inside the trials that it may learn from."""
