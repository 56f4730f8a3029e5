"""Sphinx builds the documentation: ``make docs``, with warnings as errors, into ``build/docs``.

Sphinx and not MkDocs: it is actively kept, where the 1.x line of MkDocs has seen no release for
long; it reads the roles that the docstrings use and resolves them across pages; and MyST lets the
pages be plain Markdown, which code hosts show as it is.
"""

from importlib.metadata import version as installed

project = "causalplug"
author = "the authors of causalplug"
copyright = "the authors of causalplug, Apache-2.0"
release = version = installed("causalplug")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

html_theme = "furo"
html_title = f"causalplug {version}"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}
html_show_sourcelink = False

myst_heading_anchors = 3

default_role = "literal"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
napoleon_use_rtype = False
