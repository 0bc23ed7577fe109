"""A file of the repository as the text of a page: Markdown as it is, all else as a listing."""

from __future__ import annotations

from pathlib import Path

_LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
_FENCE = "~" * 12  # longer than any in a file


def as_markdown(file: Path) -> str:
    """The text of a page about `file`."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".md":
        return text
    language = _LANGUAGES.get(file.suffix, "text")
    return f"# {file.name}\n\n{_FENCE}{language}\n{text}\n{_FENCE}\n"
