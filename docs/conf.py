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
    "gallery",
    "reference",
    "reference_links",
    "formulas",
]
exclude_patterns = ["_build"]
highlight_language = "none"  # blocks without a language are output

# Pages are Markdown that a code host shows as well.
myst_enable_extensions = ["attrs_block", "html_image"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

# The gallery runs the examples with these arguments, all of them in 100 seconds of one processor.
# None: not at all. No more than --plot: the full setting.
gallery_arguments = {
    "digits": "",
    "explicit_loop": "",
    "trace": "",
    "resume": "",
    "mnist": "--epochs 5",
    "mnist_mlp": "--epochs 3",
    "mnist_convnet": "--epochs 3",
    "mnist_jitter": "--epochs 5 --plot jitter.png",
    "fashion_mnist": "--epochs 3 --look look",
    "lenet5": "--epochs 3",
    "unet": "--samples 120 --epochs 8 --plot unet.png",
    "nielsen": "1 relu --epochs 3",
    "addition_rnn": "--questions 2000 --epochs 10",
    "seq2seq": "--count 1000 --units 32 --epochs 4",
    "character_rnn": "--units 64 --batch 8 --epochs 4 --length 200",
    "sentences": "--epochs 8",
    "forecasting": "--test 31 --epochs 2 --seeds 1 --plot forecasting.png",
    "music": "Nottingham.mat --epochs 3",
    "letters": "--sentences 40 --plot letters.png",
    "long_time_lags": "reber --starts 1 --limit 3000",
    "temporal_order": "--lengths 10 20 --starts 1 --updates 2000 --plot order.png",
    "graphs": "--epochs 10",
    "deep": "--blocks 8 --epochs 5 --plot pictures",
    "residual": "--depths 8 14 --epochs 2 --plot residual.png",
    "vae": "--plot plane.png",
    "gan": "--plot digits.png",
    "uncertainty": "--epochs 100 --plot uncertainty.png",
    "vanishing": "--starts 10 --epochs 1 --plot vanishing.png",
    "exploding": "--epochs 10 --starts 1 --plot exploding.png",
    "initialization": "--width 200 --epochs 2 --starts 2 --plot initialization.png",
    "wall": "--plot wall.png",
    "xor": "--starts 30 --sweeps 3000 --plot xor.png",
    "efficiency": "--repeats 2 --largest 128 --plot efficiency.png",
    "ports/functional_api": "",
    "ports/custom_train_step": "",
    "ports/transfer_learning": "",
    "ports/multi_output": "",
    "ports/siamese": "",
    "ports/feature_space": "",
    "ports/wide_and_deep": "",
    "tables": "--tables titanic --repeats 1",
    "serve": None,
}

# The reference: signatures without annotations, as the docstrings describe the arguments.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
napoleon_use_ivar = True
napoleon_custom_sections = [("Shapes", "returns_style"), ("Source", "returns_style")]

# The theme: everything lies inside the site, so that it reads without a network.
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css", "reference.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": []}
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "collapse_navigation": True,  # of the reference, only the module of the page
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "back_to_top_button": False,
}
copyright = "the netlayers developers; MIT licence"
