"""The store: every key, script and transition in Redis; the only importer of redis."""
