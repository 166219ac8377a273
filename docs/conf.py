"""Settings of the documentation site; CONTRIBUTING.md says how it is built."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import netlayers

project = "netlayers"
author = "the netlayers developers"
version = release = netlayers.__version__
html_title = f"netlayers {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "repository_links",
    "long_messages",
]
exclude_patterns = ["_build"]
highlight_language = "none"  # blocks without a language are output

# Pages are Markdown that a code host shows as well.
myst_enable_extensions = ["attrs_block", "html_image"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

# The theme: everything lies inside the site, so that it reads without a network.
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": []}
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "back_to_top_button": False,
}
copyright = "the netlayers developers; MIT licence"
