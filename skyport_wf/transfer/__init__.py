"""Moving archives: to a Shock, from it, and from one to another."""
