"""Whether bytes are UTF-8."""


def is_utf8(block: bytes) -> bool:
    """Whether `block` is valid UTF-8. Plain ASCII is checked without decoding."""
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
