"""Right-hand sides in blocks: the same as all together, NaN where a row has one."""

import numpy as np
import pytest

from nninvert.linalg.blockwise import solved_in_blocks


@pytest.mark.parametrize("step", [1, 2, 3, 7, 8, 100])
def test_blocks_of_rows_are_solved_one_after_another(step, rng):
    rows = rng.standard_normal((8, 3))
    rows[[2, 5, 6], [0, 1, 2]] = np.nan, np.inf, -np.inf
    begun, asked = [], []

    def solve(part):
        assert len(part)
        assert np.isfinite(part).all()
        asked.append(len(part))
        return 2.0 * part, part.sum(axis=1)

    x, errors = solved_in_blocks(rows, step, solve, lambda *block: begun.append(block))
    bad = [2, 5, 6]
    good = [0, 1, 3, 4, 7]
    np.testing.assert_array_equal(x[good], 2.0 * rows[good])
    np.testing.assert_array_equal(errors[good], rows[good].sum(axis=1))
    assert np.isnan(x[bad]).all()
    assert np.isnan(errors[bad]).all()
    assert begun == [(k, min(step, 8 - k)) for k in range(0, 8, step)]
    assert sum(asked) == 5


def test_no_rows():
    x, errors = solved_in_blocks(np.empty((0, 3)), 5, None, lambda *block: None)
    assert x.shape == (0, 3)
    assert errors.shape == (0,)


def test_solutions_of_one_block_are_handed_on(rng):
    """Nothing is copied where all rows fit."""
    solution = rng.standard_normal((4, 3)), np.zeros(4)
    found = solved_in_blocks(np.ones((4, 3)), 4, lambda part: solution, lambda *block: None)
    assert found[0] is solution[0]
