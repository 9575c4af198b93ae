"""What an image list names by its address: Dockerfiles on web servers, folders of git repositories."""
