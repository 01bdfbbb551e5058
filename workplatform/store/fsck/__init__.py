"""The check of the store: whether everything that is derived from the jobs' records agrees with them."""
