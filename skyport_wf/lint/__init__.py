"""What is found wrong in Dockerfiles, scripts and CWL documents, before an engine or AWE sees them."""
