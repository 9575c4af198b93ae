"""Docker archives: reading any layout as it streams by, and writing the canonical one."""
