"""The job types that come with the platform: one public module each."""
