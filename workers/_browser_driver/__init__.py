"""The browser's driver: a program of its own that guards one Chromium and visits pages in it by pyppeteer.

It imports nothing of the platform, because it may run in an environment of its own: pyppeteer holds urllib3 and
websockets at versions of years ago.
"""
