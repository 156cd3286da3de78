"""What the clock starts in the accounts service: one module for each subject."""
