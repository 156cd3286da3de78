"""Many accounts by one request: read a file, try it out, and once it is submitted carry out each row by itself.

A row is carried out by the handler of the single command that it stands for, so that nothing is allowed, refused or
recorded otherwise than by that; `kinds` is the table of what files may ask for.
"""
