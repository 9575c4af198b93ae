"""Tar files, read as they stream by, with nothing believed that they say of themselves."""
