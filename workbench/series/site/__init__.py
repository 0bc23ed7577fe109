"""The web site of a run: a page per lesson and a contents page, to be read without any network."""
