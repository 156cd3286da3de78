"""The history of the tables of notifications: one file a revision, applied by `shared.migrations`."""
