"""A cell's outputs as what a reader sees: blocks of text and figures, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Block", "blocks_of"]

_PNG = "iVBORw0KGgo"  # how one begins, in base64


@dataclass(frozen=True)
class Block:
    """One thing that a cell puts out."""

    kind: str
    """`stdout`, `stderr`, a MIME type of what is displayed, or `error`."""
    text: str
    """What it says; of an image, whether it is one."""


def blocks_of(outputs: Sequence[dict[str, Any]]) -> list[Block]:
    """The blocks of a code cell's `outputs`; a stream that came in pieces is one block."""
    blocks: list[Block] = []
    for output in outputs:
        if output["output_type"] == "stream":
            if blocks and blocks[-1].kind == output["name"]:
                blocks[-1] = Block(output["name"], blocks[-1].text + output["text"])
            else:
                blocks.append(Block(output["name"], output["text"]))
        elif output["output_type"] == "error":
            blocks.append(Block("error", f"{output['ename']}: {output['evalue']}"))
        else:
            blocks += [_displayed(kind, data) for kind, data in sorted(output["data"].items())]
    return blocks


def _displayed(kind: str, data: Any) -> Block:
    if kind == "image/png":
        return Block(kind, "a picture" if str(data).startswith(_PNG) else "no picture")
    return Block(kind, data if isinstance(data, str) else repr(data))
