"""Storms: all that can break breaks, again and again, while jobs come in; then everything is checked from outside."""
