from polling_adapter import __version__

project = "polling_adapter"
author = "The polling_adapter developers"
version = release = __version__
extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
