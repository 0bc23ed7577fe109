"""What a narrow window must not do to tables, code and figures: break their lines, or shrink them
until they cannot be read. They can be scrolled instead.
"""

__all__ = ["KEEP_SHAPES"]

KEEP_SHAPES = """\
.jp-Notebook .jp-OutputArea-output pre { white-space: pre; word-break: normal; }
.jp-Notebook .jp-OutputArea-output { overflow-x: auto; }
.jp-Notebook .jp-RenderedImage img { min-width: 760px; }
"""
