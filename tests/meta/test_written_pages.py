"""Pages that no generator writes: links lead somewhere, records have numbers, changes come once."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.report import anchor

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "decisions"


def test_the_list_has_each_record_under_its_number_and_title() -> None:
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\)", (RECORDS / "README.md").read_text(), re.M)
    told = [(path, f"# {number}. {title}") for number, title, path in listed]
    assert told == [
        (path.name, path.read_text().splitlines()[0]) for path in sorted(RECORDS.glob("[0-9]*.md"))
    ]
    assert [int(path[:4]) for path, _ in told] == list(range(1, len(told) + 1))


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    folders = ("*.md", "docs/**/*.md", "clients/*/*.md", "benchmarks/*.md")
    links = [
        (page, link)
        for folder in folders
        for page in ROOT.glob(folder)
        for link in re.findall(r"\]\(([^)\s]+)", page.read_text())
        if "://" not in link
    ]
    assert len(links) > 100
    dead = [(str(page.relative_to(ROOT)), link) for page, link in links if not _leads(page, link)]
    assert dead == []


def _leads(page: Path, link: str) -> bool:
    """Whether there is such a file, and in a page such a heading."""
    path, _, heading = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not heading or heading in _headings(target))


def _headings(page: Path) -> list[str]:
    plain = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return [anchor(title) for title in re.findall(r"^#+ (.+)$", plain, re.M)]


def test_the_changelog_says_nothing_twice() -> None:
    """Merges of branches that each added a line may put whole lists in twice."""
    text = (ROOT / "CHANGELOG.md").read_text()
    lines = [line for line in text.splitlines() if len(line) > 20]
    assert [line for line in set(lines) if lines.count(line) > 1] == []
    assert re.findall(r".\n\*\*.+\*\*\n|\n\*\*.+\*\*\n.", text) == []  # headings stand alone


def test_what_security_is_promised_by_and_tested_by_is_there() -> None:
    """Paths of the page are below `tests`, or of code."""
    page = (ROOT / "docs" / "explanation" / "security.md").read_text()
    paths = set(re.findall(r"`([a-z]\w*/[\w./*]*)`", page))
    bases = (ROOT, ROOT / "tests", ROOT / "service" / "portgrad")
    assert len(paths) > 20
    assert [path for path in paths if not any(any(base.glob(path)) for base in bases)] == []
    parts = set(re.findall(r"parts? ((?:`\w+`(?:, )?)+)", page))
    named = {name for told in parts for name in re.findall(r"`(\w+)`", told)}
    assert named <= {path.stem for path in (ROOT / "tests" / "torture" / "parts").glob("[a-z]*.py")}
    assert len(named) > 5
