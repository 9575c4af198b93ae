"""Speaking to a Docker engine."""
