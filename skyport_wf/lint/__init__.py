"""Checks of Dockerfiles, scripts, image lists and CWL documents, before an engine or AWE sees them."""
