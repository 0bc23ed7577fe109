from __future__ import annotations

from typing import Any

import httpx
import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench.restate import Restate
from workbench.views import show_ui, ui

ID = "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What is displayed, as in a notebook."""
    displayed: list[dict[str, str]] = []

    def _display(data: dict[str, str], *, raw: bool) -> None:
        assert raw
        displayed.append(data)

    monkeypatch.setattr(ui, "get_ipython", lambda: object.__new__(InteractiveShell))
    monkeypatch.setattr("IPython.display.display", _display)
    return displayed


def test_outside_a_notebook_the_address_is_printed(
    restate: Restate, capsys: pytest.CaptureFixture[str]
) -> None:
    show_ui(restate, ID, frame=True)
    show_ui(restate)
    url = f"{restate.ui_url}/invocations/{ID}"
    assert capsys.readouterr().out == f"{url}\n{restate.ui_url}\n"


def test_the_server_serves_the_page_and_lets_it_be_framed(restate: Restate) -> None:
    answer = httpx.get(f"{restate.ui_url}/invocations/{ID}", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert not {"x-frame-options", "content-security-policy"} & set(answer.headers)


@pytest.mark.parametrize("frame", [True, False])
@pytest.mark.parametrize("somebody", [True, False])
def test_a_frame_is_for_somebody_who_looks(
    restate: Restate,
    shown: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    frame: bool,
    somebody: bool,
) -> None:
    monkeypatch.setattr(ui, "someone_looks", lambda: somebody)
    show_ui(restate, ID, frame=frame)
    (data,) = shown
    url = f"{restate.ui_url}/invocations/{ID}"
    assert data["text/plain"] == url
    assert f'href="{url}"' in data["text/html"]
    assert "Restate UI: inv_1767Q…W6ax</a>" in data["text/html"]
    assert ("<iframe" in data["text/html"]) == (frame and somebody)
