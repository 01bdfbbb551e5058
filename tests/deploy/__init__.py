"""The deployment: the image's recipe, the compose file, and its services run as if they were containers."""
