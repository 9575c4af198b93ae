"""The records that each step leaves for the next one, the receipt and the lock file: values, and the same on disk."""
