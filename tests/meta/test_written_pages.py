"""Pages that no generator writes: links lead somewhere, records have numbers, changes come once."""

from __future__ import annotations

import re
from pathlib import Path

RECORDS = Path(__file__).parents[2] / "docs" / "decisions"


def test_the_list_has_each_record_under_its_number_and_title() -> None:
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\)", (RECORDS / "README.md").read_text(), re.M)
    told = [(path, f"# {number}. {title}") for number, title, path in listed]
    assert told == [
        (path.name, path.read_text().splitlines()[0]) for path in sorted(RECORDS.glob("[0-9]*.md"))
    ]
    assert [int(path[:4]) for path, _ in told] == list(range(1, len(told) + 1))


def test_every_link_of_the_documentation_leads_to_a_file() -> None:
    root = RECORDS.parents[1]
    pages = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("clients/*/*.md")]
    dead = [
        (str(page.relative_to(root)), link)
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert dead == []


def test_the_changelog_says_nothing_twice() -> None:
    """Merges of branches that each added a line may put whole lists in twice."""
    text = (RECORDS.parents[1] / "CHANGELOG.md").read_text()
    lines = [line for line in text.splitlines() if len(line) > 20]
    assert [line for line in set(lines) if lines.count(line) > 1] == []
