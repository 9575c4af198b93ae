"""Images without an engine: archives and their layers, build contexts and Dockerfiles."""
