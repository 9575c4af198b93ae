"""Pages for people: what a Shock publishes, as HTML that `serve` answers and `catalogue` writes."""
