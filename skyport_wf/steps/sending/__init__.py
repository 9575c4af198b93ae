"""How an archive gets to Shock: not at all if its bytes are there, in parts if it is large, on from where it broke."""
