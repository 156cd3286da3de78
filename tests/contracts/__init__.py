"""The published language and all that derives from it: declarations, schemas, envelopes and documents."""
