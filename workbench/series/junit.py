"""The run as JUnit XML, for machines: a suite per lesson, a case per code cell."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import junitparser
import nbformat

from workbench.ids import clipped
from workbench.series.disk import write_text
from workbench.series.executed import read_executed
from workbench.series.outcome import Failure, Outcome

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME_WIDTH = 80


def write_junit(outcomes: Sequence[Outcome], facts: Mapping[str, str], path: Path) -> None:
    """Write the file; `facts` become properties of every suite.

    Raises WorkbenchError where it cannot be written.
    """
    report = junitparser.JUnitXml("series")
    for outcome in outcomes:
        report.add_testsuite(_suite(outcome, facts))
    report.update_statistics()  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    report.write(buffer, pretty=True)
    write_text(path, buffer.getvalue().decode())


def _suite(outcome: Outcome, facts: Mapping[str, str]) -> junitparser.TestSuite:
    suite = junitparser.TestSuite(outcome.lesson.stem)
    version, _, mode = outcome.server.partition(" ")
    properties = {"restate": version, "mode": mode.strip("()")} if version else {}
    for name, value in {**facts, **properties}.items():
        suite.add_property(name, value)
    cells = {
        place: cell
        for place, cell in enumerate(read_executed(outcome).cells, start=1)
        if cell.cell_type == "code" and cell.source.strip()
    }
    for place, cell in cells.items():
        at_cell = [failure for failure in outcome.failures if failure.cell == place]
        suite.add_testcase(_case(outcome, place, cell, at_cell))
    elsewhere = [failure for failure in outcome.failures if failure.cell not in cells]
    if elsewhere:
        case = junitparser.TestCase("the lesson as a whole", outcome.lesson.stem)
        case.result = [_failed(failure) for failure in elsewhere]
        suite.add_testcase(case)
    return suite


def _case(
    outcome: Outcome, place: int, cell: nbformat.NotebookNode, failures: Sequence[Failure]
) -> junitparser.TestCase:
    first_line = clipped(cell.source.strip().splitlines()[0], _NAME_WIDTH)
    case = junitparser.TestCase(_xml(f"cell {place}: {first_line}"), outcome.lesson.stem)
    case.time = round(cell.metadata.get("papermill", {}).get("duration") or 0.0, 3)
    if failures:
        case.result = [_failed(failure) for failure in failures]
    elif cell.metadata.get("papermill", {}).get("status") != "completed":
        case.result = [junitparser.Skipped("not reached")]
    return case


def _failed(failure: Failure) -> junitparser.Failure:
    last_line = failure.error.strip().splitlines()[-1] if failure.error.strip() else ""
    result = junitparser.Failure(_xml(f"{failure.verdict}: {last_line}"), failure.kind)
    result.text = _xml(failure.error)
    return result


def _xml(text: str) -> str:
    """`text` without what XML cannot hold."""
    return _NOT_XML.sub("", text)
