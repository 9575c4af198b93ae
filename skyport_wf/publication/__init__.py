"""An image under its name on a Shock: its attributes, who has the name, taking and retiring it."""
