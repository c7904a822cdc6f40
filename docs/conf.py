from polling_adapter import __version__

project = "polling_adapter"
author = "The polling_adapter developers"
version = release = __version__
extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "HTTP polling that you never see", "page_width": "1100px"}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
