"""What formulas are made of, and how they are told from code; for ``formula_parser.py``."""

import re

WORD = re.compile(r"\w+")
FUNCTIONS = set(
    WORD.findall(
        "clip cos cosh cov exp expm1 log log1p max mean min onehot sign sigmoid sinh softmax"
        " softplus tanh var"
    )
)
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵗᵀ", "0123456789+−nt⊤", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₛₜₖₙᵢⱼ", "0123456789+−stknij", strict=True))
RELATIONS = {"=": "=", "<": "<", ">": ">", "<=": "≤", ">=": "≥", "≠": "≠", "≈": "≈", "≤": "≤"}
RELATIONS |= {"≥": "≥", "∈": "∈", "→": "→"}
FENCES = {"(": ")", "⌈": "⌉", "⌊": "⌋"}
BIG = {"Σ": "∑", "Π": "∏"}

TOKEN = re.compile(
    r"(?P<space> *)(?:(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![A-KM-Za-z_]))"
    rf"|(?P<name>d?[α-ωµ]\u0302?(?:_[A-Za-z0-9]+)?|[A-ZΑ-ΡΤ-Ωa-z∂][A-Za-z0-9]*\u0302?(?:_[A-Za-z0-9]+)*)"
    rf"|(?P<raised>[{''.join(RAISED)}]+)|(?P<lowered>[{''.join(LOWERED)}]+)"
    r"|(?P<sign>[-+]=|<=|>=|\.\.\.|[-+·×⊙*/^_'()⌈⌉⌊⌋\[\]{},|‖:=<>≤≥≠≈∈→√ΣΠ∞]))"
)
SIMPLE_INDEX = re.compile(r"(?:[^\W\d_]'?|\d+|[+-]|, )+")
# What no formula has: quotes, operators and words of Python, dots in names, values of keywords.
CODE = re.compile(
    r"""["`\\@%#$;?!~&]|'[A-Za-z0-9]|(?<![A-Za-z] )\*|\*(?! [A-Za-z]\b)"""
    r"|//|==|!=|->|--|\w\.[A-Za-z]|\b\w\w+=\S|^\s|\s$|\{(?![^{}]*\})"
    r"|\b(?:True|False|None|import|def|class|return|lambda|not|in|is|and|or|if|else|for|self|of|the"
    r"|python|pip|np|nl|with|by|to|as)\b|(?<![_^]){"
)
# What only formulas have, and what they may share with code.
CERTAIN = re.compile(r"[⌈⌊ΣΠ√‖∂∞α-ωΦµ²³ᵀⁿ⁻\u0302₀-₉]|\w\^|\)\^|^dL/d|\|[^|]+\||\S-(?= |$)")
LIKELY = re.compile(r" (?:[-+]?=|[-+/<>]|<=|>=|mod) |^[a-zA-Z]\[[a-z](?:[+-]\d)?\]$")
VARIABLE = re.compile(r"\bd?[A-Za-z](?:_\w+)?\b")  # of one letter, or its gradient
OF_WORDS = re.compile(r" / | = .* [-+/] ")
WORDS = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")
