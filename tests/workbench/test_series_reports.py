"""The site and the JUnit file of a run: whole, readable alone, and of one mind with the run."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import junitparser
import nbformat
import pytest
from bs4 import BeautifulSoup

from tests.series_lessons import Lessons
from tests.site_links import broken_links
from workbench.series.outcome import Outcome
from workbench.series.site.diagram import diagram_image
from workbench.series.site.site import Site
from workbench.state_dir import WorkbenchError

_PIXEL = "iVBORw0KGgo="  # it begins as PNG files do
FIGURE = f"""\
from IPython.display import display
png = {{"image/png": "{_PIXEL}", "text/plain": "a figure"}}
display(png, metadata={{"image/png": {{"alt": "A dot & a <caption>."}}}}, raw=True)
"""
UI = """\
from IPython.display import HTML
HTML('<a href="http://127.0.0.1:9070/ui">Restate UI</a> <a href="https://restate.dev">site</a>')
"""
OPENING = """\
# {title}

**What you'll do** — run a cell | or two, and look. Then go.

[README](../README.md), [code](../agent/code.py), [next](01_bad.ipynb#Look), [none](no.md)

## Look

```mermaid
flowchart LR
  lesson --> page
```
"""
README = (
    "# Read me\n\n[first](notebooks/00_good.ipynb), [folder](agent), [here](#Part)\n\n## Part\n"
)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    """A run of two lessons, the second of which fails, in a small repository."""
    root = tmp_path_factory.mktemp("reports")
    lessons = Lessons(root)
    (root / "README.md").write_text(README)
    (root / "agent").mkdir()
    (root / "agent" / "code.py").write_text("answer = 42  # ~~~ [no](link.md)\n")
    good = lessons.write("00_good", FIGURE, UI, title=OPENING.format(title="00 · Go well"))
    bad = lessons.write(
        *("01_bad", "done = 1\nmore = 2", "raise ValueError('\\x1b[31mred\\x00')", "never = 3"),
        title=OPENING.format(title="01 · Go wrong"),
    )
    code, out, err = lessons.run(good, bad)
    assert (code, err) == (1, ""), out
    return lessons


def _soup(lessons: Lessons, name: str) -> BeautifulSoup:
    return BeautifulSoup((lessons.build / name).read_text(), "html.parser")


def _links(soup: BeautifulSoup) -> dict[str, str]:
    return {link.get_text(): str(link["href"]) for link in soup.select("main a[href]")}


def test_no_link_within_the_site_is_broken(reported: Lessons) -> None:
    assert broken_links(reported.build) == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html"><img src="c.png"><p id="x"><a href="#y">')

    assert len(broken_links(tmp_path)) == 3


def test_links_lead_to_pages_and_nowhere_else(reported: Lessons) -> None:
    links = _links(_soup(reported, "00_good.html"))

    assert links["README"] == "sources/README.md.html"
    assert links["code"] == "sources/agent/code.py.html"
    assert links["next"] == "01_bad.html#Look"
    assert links["site"] == "https://restate.dev"
    assert not {"none", "Restate UI"} & set(links)
    assert _links(_soup(reported, "sources/README.md.html"))["first"] == "../00_good.html"
    assert "answer = 42" in _soup(reported, "sources/agent/code.py.html").get_text()


def test_pages_lead_to_each_other_at_top_and_bottom(reported: Lessons) -> None:
    for name, before, after in [
        ("00_good.html", None, "01_bad.html"),
        ("01_bad.html", "00_good.html", None),
    ]:
        ways = _soup(reported, name).select("nav")
        assert len(ways) == 2
        for way in ways:
            assert [link["href"] for link in way.select("a[rel=prev]")] == [before] * bool(before)
            assert [link["href"] for link in way.select("a[rel=next]")] == [after] * bool(after)
            assert [link["href"] for link in way.select(".contents a")] == ["index.html"]


def test_pages_need_neither_network_nor_scripts(reported: Lessons) -> None:
    for page in reported.build.rglob("*.html"):
        text = page.read_text()
        assert "<script" not in text
        assert not re.search(r"""<link|@import|src=["']?(https?:)?//""", text)
        assert 'media="(prefers-color-scheme: dark)"' in text
        assert 'name="viewport"' in text


def test_every_figure_has_its_text(reported: Lessons) -> None:
    images = _soup(reported, "00_good.html").select("img")

    assert [image["alt"] for image in images] == [
        "Diagram: README, code, next, none",
        "A dot & a <caption>.",
    ]
    assert base64.b64encode(base64.b64decode(_PIXEL)).decode() in str(images[1]["src"])


def test_the_contents_tell_what_became_of_each_lesson(reported: Lessons) -> None:
    soup = _soup(reported, "index.html")
    lessons, run = soup.select("table")

    rows = [[cell.get_text(" ") for cell in row.select("td")] for row in lessons.select("tbody tr")]
    assert [row[:2] for row in rows] == [
        ["00 · Go well Run a cell | or two, and look.", "✓\xa0passed"],
        ["01 · Go wrong Run a cell | or two, and look.", "✗ failed in cell 3"],
    ]
    assert all(re.fullmatch(r"\d+\.\d\ss", row[2]) for row in rows)
    assert "1 of 2 lessons failed." in soup.get_text()
    facts = dict([cell.get_text() for cell in row.select("td")] for row in run.select("tbody tr"))
    assert facts["Restate"] == "none was started"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", facts["started"])


def test_a_failed_lesson_shows_how_far_it_came(reported: Lessons) -> None:
    soup = _soup(reported, "01_bad.html")

    assert "ValueError" in soup.select_one(".failures").get_text()  # type: ignore[union-attr]
    cell = soup.find(id=str(soup.select(".failures a")[0]["href"]).removeprefix("#"))
    assert cell is not None
    assert "ValueError: " in cell.get_text()
    assert "never = 3" in soup.get_text()


def test_the_junit_file_agrees_with_the_run(reported: Lessons) -> None:
    report = junitparser.JUnitXml.fromfile(str(reported.build / "junit.xml"))
    good, bad = list(report)

    assert (report.tests, report.failures, report.errors, report.skipped) == (5, 1, 0, 1)
    assert (good.name, good.tests, good.failures) == ("00_good", 2, 0)
    assert (bad.name, bad.tests, bad.failures, bad.skipped) == ("01_bad", 3, 1, 1)
    names = [case.name for case in bad]
    assert names[0] == "cell 2: done = 1"
    done, raised, never = bad
    assert done.is_passed
    assert done.time > 0
    assert raised.is_failure
    assert raised.result[0].type == "failed"
    assert raised.result[0].message.startswith("failed in cell 3: ValueError: ")
    assert "raise ValueError(" in raised.result[0].text
    assert never.is_skipped
    properties = {each.name: each.value for each in bad.properties()}
    assert {"started", "RESTATE_MODE", "Python"} <= set(properties)


def test_a_lesson_that_never_began_has_a_page(tmp_path: Path) -> None:
    lessons = Lessons(tmp_path)
    path = lessons.write("00_first", "print(1)")
    book = nbformat.read(path, as_version=4)
    book.cells[1].outputs = [nbformat.v4.new_output("stream", text="of another run")]
    nbformat.write(book, path)

    copy = lessons.build / path.name
    Site([path], lessons.build).write_lesson(Outcome(lesson=path, copy=copy, seconds=0.0))

    page = (lessons.build / "00_first.html").read_text()
    assert "of another run" not in page
    assert "1 lesson" not in page


def test_a_diagram_that_cannot_be_drawn_is_an_error(tmp_path: Path) -> None:
    lessons = Lessons(tmp_path)
    path = lessons.write("00_first", title="```mermaid\nflowchart of all\n```\n")
    outcome = Outcome(lesson=path, copy=path, seconds=0.0)

    with pytest.raises(WorkbenchError, match=r"A diagram in 00_first\.ipynb cannot be drawn: "):
        Site([path], lessons.build).write_lesson(outcome)


def test_a_diagram_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = diagram_image("flowchart LR\n  a --> b\n", "Look", "page", drawn=tmp_path / "drawn")
    monkeypatch.setattr("mermaidx.render", lambda _: pytest.fail("it is drawn again"))

    again = diagram_image("flowchart LR\n  a --> b\n", "Look", "page", drawn=tmp_path / "drawn")

    assert again == first
