"""The packages in an image, read from the databases that package managers leave in its layers."""
