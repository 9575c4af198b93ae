"""Comparing two images: packages, files, metadata. From byte streams alone, in bounded memory."""
