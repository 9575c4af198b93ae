"""Speaking to a Shock server."""
