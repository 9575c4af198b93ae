"""`.dockerignore`: its patterns, and how docker reads them."""
