"""Dockerfiles on web servers and folders of git repositories, named in an image list by their addresses."""
