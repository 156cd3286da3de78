"""The history of identity's tables: one file a revision, applied by `shared.migrations`."""
