"""Values and validity of columns as numpy arrays, of slices at any bit."""

import numpy as np
import pyarrow as pa
import pytest

from millstream.operators.arrays import fixed_values, validity

VALUES = [[True, None, False] * 9, [True, False] * 11, [None] * 5, [True], []]


@pytest.mark.parametrize("values", VALUES, ids=str)
@pytest.mark.parametrize("data_type", [pa.bool_(), pa.int64()], ids=str)
def test_slices_are_read_from_their_own_first_value(values, data_type):
    whole = pa.array(values, pa.bool_()).cast(data_type)
    for start in range(len(values) + 1):
        for length in range(len(values) - start + 1):
            column = whole.slice(start, length)
            expected = np.array([value is not None for value in values[start : start + length]], np.bool_)
            valid = validity(column)
            assert (np.ones(length, np.bool_) if valid is None else valid).tolist() == expected.tolist()
            assert (valid is None) == expected.all()
            read = fixed_values(column)
            assert [
                v for v, known in zip(read.tolist(), expected, strict=True) if known
            ] == column.drop_null().to_pylist()
            if data_type == pa.bool_():
                assert not read[~expected].any()


def test_a_column_of_nothing_but_nulls_has_no_value():
    assert validity(pa.nulls(3)).tolist() == [False] * 3
