"""What identity does when it is asked: one function for each command, a file for each subject."""
