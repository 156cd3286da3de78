"""What proves Cardwork as a whole; each service keeps its own tests beside its code."""
