"""The whole series at once: run unattended, or opened in JupyterLab, and all of it stopped again.

`python -m workbench.series` is what `scripts/tutorial` becomes when the set-up is done.
"""
