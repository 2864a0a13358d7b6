"""Functions and aggregates of SQL programs, written in Python.

    from millstream import udf

    def shout(text):                # called with Arrow arrays, returns one
        return pc.utf8_upper(text)

    @udf.row                        # called with the Python values of one row
    def initials(name):
        return None if name is None else "".join(word[0] for word in name.split())

Importing this module costs next to nothing. docs/udf.md tells all about such functions; the modules beside this one
load their source (`library`), check it against what SQL declares (`checks`) and call it (`scalars`, `aggregates`).
"""

from millstream.udf.marks import arrow, groups, row

__all__ = ["arrow", "groups", "row"]
