"""Shell scripts: their commands, and the programs that these run."""
