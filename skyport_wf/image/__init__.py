"""What an image is made of: archives, build contexts and Dockerfiles, without an engine."""
