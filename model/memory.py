"""Too little memory, told from other errors. Loads nothing, as there may be no memory to load it."""

SIGNS = ("allocate memory", "out of memory", "bad_alloc", "failed to map segment", "can't start new thread")
SIGNS += ("could not create a primitive",)  # oneDNN, whose code for a product found no room


def lack_of_memory(error: BaseException) -> str | None:
    """What a program needed more memory for, in the words of who needed it; None for an error of another kind. Python
    and NumPy raise MemoryError; torch RuntimeError, and its own on a GPU; the loader of libraries ImportError."""
    text = " ".join(str(error).split("\n\n")[0].split())[:300] or "MemoryError"
    return text if isinstance(error, MemoryError) or any(sign in text for sign in SIGNS) else None
