"""Checks of CWL documents: what AWE does with them."""
