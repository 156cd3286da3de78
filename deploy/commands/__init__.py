"""The `cardwork` command, a file for each of its words. A new file here is a new word; nothing lists them."""
