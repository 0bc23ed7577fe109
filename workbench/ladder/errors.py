"""Why a level is lost, or cannot be judged."""

from __future__ import annotations


class Broken(Exception):
    """The program breaks the law of a level.

    Attributes:
        what: what was seen, in a sentence.
        picture: what the run looked like; may be empty.
        question: what to ask oneself next.
    """

    def __init__(self, what: str, *, picture: str = "", question: str = "") -> None:
        super().__init__(what)
        self.what, self.picture, self.question = what, picture, question


class Unplayable(Exception):
    """The program cannot be judged: it does not start, dies, or does not keep the contract.

    Its text says what happened and what to do, in one or two lines.
    """
