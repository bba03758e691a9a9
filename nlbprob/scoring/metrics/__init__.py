"""The scores that rates can have: one `Metric` a file, each a function of the scored trials and of their weights."""
