"""The garbage collector of a process that lives long and makes a great many short-lived objects."""

import gc

_YOUNG_OBJECTS = 20_000


def settle_memory() -> None:
    """Exempt all that exists from collection, and collect less often; to be called when a process is set up.

    Modules, contracts and mappers stay until the end; going through them again and again is work for nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
