"""What the accounts service does when it is asked: one function for each command."""
