"""The page for people that lives at /."""
