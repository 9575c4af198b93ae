"""Layers of an image: the entries of each, and the files that all of them together show."""
