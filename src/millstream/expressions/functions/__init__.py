"""The scalar functions, one family a file; registry.py collects their tables.

Almost everything is an Arrow kernel or numpy over whole columns. What is not, for want of a kernel, loops over rows in
Python: the constant `ROW_BY_ROW` of a module names those of its functions (strings, formats, variants, lambdas,
collections; and outside of this package decimals.py and the modules of casts/). They are rare functions or rare
operands; none of them is arithmetic, comparison, logic or a common conversion of scalars.
"""
