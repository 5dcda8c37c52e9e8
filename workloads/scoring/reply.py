r"""Prepare a reply for reading: the part after its reasoning, without LaTeX commands, emphasis and mark-up.

What a reply puts into ``\boxed{...}`` or into ``<answer>`` tags is found here, too.
"""

from __future__ import annotations

import re

REASONING = r"(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis)"
CHANNEL = r"<\|channel\|>\s*"  # of gpt-oss
REASONED = re.compile(rf"[<◁]/{REASONING}[>▷]|{CHANNEL}final\s*<\|message\|>", re.IGNORECASE)
REASONS = re.compile(rf"[<◁]{REASONING}[>▷]|{CHANNEL}(?:analysis|commentary)\b", re.IGNORECASE)
TAGGED = re.compile(r"<(answer|final_answer|final)>(.*?)(?:</\1>|$)", re.IGNORECASE | re.DOTALL)
BOX_TOKENS = re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|$)", re.DOTALL)  # of GLM-4.5V
SPECIAL_TOKEN = re.compile(r"<\|[^|<>]{0,40}\|>|</s>|<(?:eos|pad|end_of_turn|eot)>|\[SEP\]")
MARK_UP = re.compile(r"</?(?:b|i|u|em|strong|code|p|br|span|mark|sup|sub|div|h[1-6])\s*/?>", re.IGNORECASE)
STRUCK_OUT = re.compile(r"~~[^~\n]{0,200}~~|<(s|del|strike)>.{0,200}?</\1>")
EMPHASIS = re.compile(  # of Markdown; not the operators in x_2, 2*3 and 2 * 3
    r"(?!(?<=[A-Za-z0-9] )\*(?= ))(?:(?<![A-Za-z0-9*_])[*_]+|[*_]+(?![A-Za-z0-9*_])|__+|(?<![\d*])\*\*+)|[`$]"
)
ESCAPED = re.compile(r"\\([%$&#_])")
TEXT_COMMAND = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|up|sc|normal)?|math(?:bf|it|rm|sf|tt|cal|bb|frak|normal)"
    r"|operatorname|mbox|hbox|emph|underline|bm|boldsymbol|pmb|bold|rm|bf|it)\s*\{([^{}]*)\}"
)
SWITCH = re.compile(r"\{?\\(?:rm|bf|it|sf|tt|bfseries|displaystyle|textstyle|large|Large)\b\s*")
SPACING = re.compile(r"\\(?:[()\[\],;:! ]|q?quad\b|left\b|right\b)|(?<=\w)~(?=\w)")
UNBRACED = re.compile(r"\\(?:text|math)(?:bf|it|rm|sf|tt|normal)?\s+(?=[A-Za-z0-9]\b)")
MOST_NESTED = 8
BOXED = re.compile(r"\\(?:boxed|fbox|framebox)\s*(?:\{((?:[^{}]|\{[^{}]*\})*)(?:\}|$)|([A-Za-z])\b)")
FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3002: ".", 0x3001: ","}


def final_part(reply: str) -> str | None:
    """The part of a reply after its reasoning, or in its answer tags; None when two tags differ.

    Reasoning that never ends gives an empty text.
    """
    after = REASONED.split(reply)[-1]
    tagged = {found[1].strip() for found in TAGGED.findall(after)}
    if tagged:
        return tagged.pop() if len(tagged) == 1 else None
    return REASONS.split(after)[0]


def plain(text: str) -> str:
    """The text without LaTeX commands of fonts, without emphasis and mark-up, and with ASCII for full-width letters.

    Boxes stay, as LaTeX writes them.
    """
    bare = text.translate(FULL_WIDTH).replace("\r\n", "\n")
    bare = BOX_TOKENS.sub(lambda found: f"\\boxed{{{found[1]}}}", bare)
    bare = MARK_UP.sub("", STRUCK_OUT.sub(" ", SPECIAL_TOKEN.sub(" ", bare)))
    bare = without_text_commands(bare)
    bare = SPACING.sub(" ", SWITCH.sub("", UNBRACED.sub("", bare)))
    return EMPHASIS.sub("", ESCAPED.sub(r"\1", bare)).strip()


def without_text_commands(text: str) -> str:
    """The text without LaTeX commands of fonts, up to a depth."""
    for _ in range(MOST_NESTED):
        shorter = TEXT_COMMAND.sub(r"\1", text)
        if shorter == text:
            break
        text = shorter
    return text
