"""The README says what the program does: every example is run, every table made anew."""

from __future__ import annotations

import re

from readme_examples import README, TABLES, comparable, rendered


def test_every_example_prints_what_the_page_shows() -> None:
    page = README.read_text()
    assert comparable(rendered(page)) == comparable(page)


def test_a_changed_figure_is_noticed() -> None:
    page = README.read_text()
    changed = page.replace("solved 297 of 297 rows", "solved 296 of 297 rows")
    assert changed != page
    assert comparable(changed) != comparable(page)


def test_all_tables_are_in_the_page() -> None:
    found = re.findall(r"<!-- table: ([^>]+) -->", README.read_text())
    assert sorted(found) == sorted(TABLES)
