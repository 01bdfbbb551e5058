"""What the platform promises when something breaks, each fault really done."""
