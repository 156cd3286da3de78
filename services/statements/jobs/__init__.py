"""What the clock starts in the statements service: one module for each subject."""
