"""Where Jupyter and IPython keep what they write: with us, and not in the reader's own folders."""

from __future__ import annotations

from pathlib import Path


def jupyter_folders(base: Path) -> dict[str, str]:
    """Environment variables that keep all of Jupyter's and IPython's files below `base`.

    The kernel `python3` is then the one of the Python that runs this, whatever others there are.
    `base` has to exist when they are used, or else IPython looks for another place.
    """
    return {
        "IPYTHONDIR": str(base / "ipython"),
        "JUPYTER_CONFIG_DIR": str(base / "config"),  # and JupyterLab's settings and workspaces
        "JUPYTER_DATA_DIR": str(base / "data"),
        "JUPYTER_PATH": "",  # no further folders with kernels
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "npm_config_cache": str(base / "npm"),  # jupyter-lsp asks npm something, and npm logs it
    }
