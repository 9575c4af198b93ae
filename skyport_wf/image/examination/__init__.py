"""Examining an image: its files, the bytes that its layers waste, its packages; and reports of that."""
