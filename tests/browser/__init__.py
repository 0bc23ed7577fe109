"""What only a browser shows. Needs `pip install playwright`, and a Chromium on the PATH."""
