"""What the statements service does when it is asked: one module for each subject."""
