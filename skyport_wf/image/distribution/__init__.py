"""Manifests, by which registries name the blobs of an image: made, and read."""
