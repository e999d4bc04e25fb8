"""How the documentation is built: Sphinx with MyST. ``make docs`` turns every warning into an error."""

from __future__ import annotations

from afkit import __version__

project = "afkit"
author = "The afkit developers"
copyright = "the afkit developers"  # Sphinx's own name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "_generated"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

html_theme = "pydata_sphinx_theme"
html_title = "afkit"
html_static_path = ["_static"]
html_css_files = ["afkit.css"]
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False
html_sidebars = {"changelog": [], "index": []}
