"""The onnx package's own test cases: what nninvert reads, it computes as they say."""

from pathlib import Path

import pytest
from frameworks import framework, framework_at_work
from onnx_nodes import cases, outcome

LISTED = Path(__file__).with_name("onnx_nodes.txt")

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def outcomes():
    framework("onnx")
    with framework_at_work():
        return {case.name.removeprefix("test_"): outcome(case) for case in cases()}


def test_nothing_is_read_as_something_else(outcomes):
    assert [(k, v) for k, v in outcomes.items() if v[0] == "different"] == []


def test_all_that_the_list_names_is_still_read(outcomes):
    listed = [line.split() for line in LISTED.read_text().splitlines()[1:]]
    names = {words[1] for words in listed if words[0] == "equal"}
    assert len(names) > 300
    # Another version of onnx may have other cases.
    read = {name for name, (kind, _) in outcomes.items() if kind == "equal"}
    assert names & set(outcomes) <= read
