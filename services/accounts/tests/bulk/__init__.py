"""Many accounts at once, by a list from the screen and by a file."""
