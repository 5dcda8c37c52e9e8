"""Statements in a reply: what is said to be the answer, what is called correct, and what is denied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from workloads.scoring.options import SENTENCE, Options
from workloads.scoring.reply import BOXED

QUALIFIER = r"(?:correct|best|right|final|proper|appropriate|likely|suitable|accurate|closest|matching)"
SURELY = (
    r"(?:(?:most\s+)?(?:likely|probably|clearly|therefore|thus|hence|indeed|definitely|obviously|simply|certainly)"
    r"|then|in\s+fact|actually)"
)
TO_WHAT = r"(?:\s+(?:to|for|of|in|based\s+on|from|among)(?:\s+[\w'\u2019-]{2,}|\s+a){1,8}?)?"
ONE = r"(?=(?:(?:option|choice|letter)\s+)?[(\[]?(?-i:[A-Z])[)\]]?\s*(?:[.,;!]|$))"  # a letter, and no article
SAYS = r"(?:is|can\s+only\s+be|would\s+be|should\s+be|must\s+be|will\s+be|has\s+to\s+be|['\u2019]s)"
CHOOSE = r"(?:choose|select|pick|go\s+with|opt\s+for|answer|chose|selected|picked)"
SAID = re.compile(
    rf"\b(?:answer|{QUALIFIER}\s+(?:option|choice|one|letter)|(?:my|the|your)\s+(?:option|choice|selection|pick))"
    rf"(?:{TO_WHAT}\s*[\"'\u2019]?"
    rf"(?:\s*(?:[:=]|[-=]>|\u2192)|\s*{SAYS}(?![\w'\u2019]):?(?:\s+{SURELY}\b[,:]?)*:?))\s*"
    rf"|\b(?:I|we|I['\u2019]d|I['\u2019]ll|we['\u2019]ll)\s+(?:would\s+|will\s+|therefore\s+|thus\s+)?{CHOOSE}:?\s+"
    r"|\b(?:it|this|that)(?:\s+(?:is|must\s+be|would\s+be|should\s+be)|['\u2019]s)\s+"
    r"(?=(?:option|choice|letter|answer)\s)"
    rf"|\b(?:(?:I|we)\s+would|I['\u2019]d|we['\u2019]d)\s+say\s+(?:that\s+)?(?:it\s+is\s+|it['\u2019]s\s+)?{ONE}"
    rf"|\b(?:I['\u2019]m|I\s+am)\s+going\s+with\s+{ONE}|\b(?:it|this|that)\s+(?:must|has\s+to)\s+be\s+{ONE}"
    r"|\u7b54\u6848\s*(?:\u5e94\u8be5?)?\s*(?:\u662f|\u4e3a|[:=])\s*"  # Chinese: the answer is
    r"|(?:^|(?<=[.!?]\s))(?:therefore|thus|hence|so|definitely|certainly),?\s+"
    r"(?=(?:option\s+)?[(\[]?[A-Z][)\]]?[ .!]*$)",
    re.IGNORECASE | re.MULTILINE,
)
DOUBTED = re.compile(
    r"\b(?:not|no|never|cannot|wrong|incorrect|false|bad|worst|least|if|unless|whether|doubt\w*|unlikely|suppose\w*"
    r"|assum\w+|might|may|maybe|perhaps|could|other|another|previous|thought|some(?:one|body|times)?|people|users?"
    r"|students?|claim\w*|mistake\w*|tempting|common|possible|possibly|unclear|unsure|uncertain|format|example)\b"
    r"|n['\u2019]t\b|\u5982\u679c|\u82e5|\u53ef\u80fd|\u4e5f\u8bb8|\u4e0d|\u9519",  # if, maybe, not, wrong
    re.IGNORECASE,
)
LABEL = re.compile(  # of a form, which names one answer; where several are named, options are listed
    r"(?:^[^\w\n]*|[{,]\s*[\"'])(?:(?:my|the|your|selected|chosen|final|correct|right|best)\s+)*"
    r"(?:(?:option|choice|letter|selection|response|prediction|final|correct|assistant)[\"']?\s*[:=]|ans\b\.?\s*[:=]?)\s*",
    re.IGNORECASE | re.MULTILINE,
)
IT_IS = re.compile(
    r"(?:(?:so|then|therefore|thus|hence),?\s+)?(?:it|this|that)(?:\s+(?:is|must\s+be|has\s+to\s+be)|['\u2019]s)\s+"
    r"(?P<what>\w.+)",
    re.IGNORECASE,
)
WITHDRAWN = re.compile(
    r"\b(?:wait|hold\s+on|on\s+second\s+thou?ghts?|(?:actually|sorry|correction|no|hmm+)(?=\s*[,.:;!-]))", re.IGNORECASE
)
SEVERAL = re.compile(  # at the end of a reply
    r"(?:^|[.!?\n])\s*(?P<said>(?:both|either|neither|any|all|none)(?:\s+of\s+(?:them|these|the\s+above))?"
    r"(?:\s+(?:is|are|would\s+be)\s+(?:correct|right|possible|true|fine))?)\s*[.!]*\s*$",
    re.IGNORECASE,
)
CLAUSE = re.compile(r"[.!?;,\n]|\b(?:so|therefore|thus|hence|but|because|and)\b", re.IGNORECASE)
DEPENDENT = re.compile(r"\s*(?:that|whether|if)\b", re.IGNORECASE)
LONGEST_CLAUSE = 120  # characters
LONGEST_STATEMENT = 300  # characters, and those of the longest option
MOST_STATEMENTS = 100  # the last ones of a reply

LETTER = r"(?:[(\[{](?P<bracketed>[A-Z])[)\]}]|(?P<bare>[A-Z])(?![\w'\u2019]))"
OPTION = re.compile(rf"(?<![\w'\u2019.])(?i:(?:the\s+)?(?:option|choice|answer|letter)\s+)?{LETTER}")
PRAISE = re.compile(
    r"\s+(?:is|seems|appears|must\s+be|would\s+be)\s+(?:to\s+be\s+)?"
    r"(?:(?:also|clearly|therefore|thus|definitely|obviously|indeed|probably|likely)\s+)*"
    r"(?:correct\b(?!\s+(?:that|in|about|to|when|if))"
    r"|(?:right|true|best)(?=\s*(?:[.,;!?:\n]|$|because|since))"
    rf"|the\s+(?:only\s+|most\s+)?(?:{QUALIFIER}\s+)?(?:answer|option|choice|one)\b)",
    re.IGNORECASE,
)
POSSIBLE = re.compile(
    r"\s+(?:is|seems|looks|are)\s+(?:also\s+|equally\s+|just\s+as\s+)?(?:possible|plausible|acceptable|valid|likely)\b"
    r"|\s+(?:could|may|might|can)\s+(?:also\s+|well\s+|equally\s+)*be\b",
    re.IGNORECASE,
)
POSSIBLY_BEFORE = re.compile(r"\b(?:could|may|might|can)\s+(?:also\s+|well\s+|equally\s+)*be\s+$", re.IGNORECASE)
BLAME = re.compile(
    r"(?:\s*,\s*(?:however|though|too|for\s+example)\s*,)?"
    r"\s*(?:is|are|was|seems|looks|appears|can|could|does|do|would|should|must|will|has|isn|doesn|wasn|wouldn|cannot)"
    r"(?:\s+(?!correct|right|best|true|and|but)[\w-]+){0,3}?"
    r"\s*(?:not|n['\u2019]t|wrong|incorrect|false|unlikely|impossible|invalid|implausible|inaccurate|eliminated"
    r"|excluded|ruled\s+out)\b",
    re.IGNORECASE,
)
NOT_BEFORE = re.compile(
    r"(?:\bnot|n['\u2019]t|\bcannot|\bnever|\brather\s+than|\binstead\s+of|\bexcept|\bexclud(?:e|es|ing)"
    r"|\brul(?:e|es|ing)\s+out|\beliminat(?:e|es|ing)|\bneither|\bnor|\bunlike|\bwithout)"
    r"(?:\s+(?:be|choose|pick|select))?(?:\s+[(\[]?[A-Z][)\]]?\s*(?:,|/|\bor\b|\bnor\b|\band\b))*\s*$",
    re.IGNORECASE,
)
DENIED_AT_ONCE = re.compile(r"\W*(?:not|never|neither)\b", re.IGNORECASE)
JOINED_BEFORE = re.compile(r"(?:\b(?:or|and|nor|either|neither|both)\s+|/\s*|\b[A-Z],\s*)$", re.IGNORECASE)
SENTENCE_ENDS = re.compile(r"\s*(?:[.!;]|$)")
UNCLEAR = "?"
"""Stands for a letter where it is not clear which one is meant."""


@dataclass(frozen=True)
class Statement:
    """What is said to be the answer.

    Attributes:
        letter: of the option; ``UNCLEAR`` where options are spoken of and it is not clear which is meant.
        start, end: where the words before it are, and the whole text of the option, in characters.
    """

    letter: str
    start: int
    end: int


def stated(text: str, options: Options) -> Statement | None:
    """The last statement of what the answer is; None where no statement speaks of an option."""
    clear: list[Statement] = []
    doubted: set[str] = set()  # since the last clear statement
    longest = LONGEST_STATEMENT + max(map(len, options.texts), default=0)
    for start, end, following in _answers(text)[-MOST_STATEMENTS:]:
        rest = following[:longest]
        letter = options.named(rest)
        sentence = SENTENCE.match(rest)
        mentioned = options.mentions(sentence[0] if sentence else rest)
        asks = sentence is not None and sentence[0].endswith("?")
        if _is_doubted(text, start) or (asks and mentioned):
            doubted |= {letter} if letter and not asks else mentioned | {UNCLEAR} if asks else mentioned
        elif letter is not None:
            option = sentence[0] if sentence and options.whole(sentence[0]) else ""
            clear.append(Statement(letter, start, end + len(option)))
            doubted = set()
        elif DENIED_AT_ONCE.match(rest):
            doubted |= mentioned
        elif mentioned:
            doubted.add(UNCLEAR)
    if not clear:
        return Statement(UNCLEAR, 0, len(text)) if doubted else None
    *before, last = clear
    others = before and before[-1].letter != last.letter
    joined = others and not re.search(r"[.!?;\n]", text[before[-1].end : last.start])
    return replace(last, letter=UNCLEAR) if joined or doubted & {UNCLEAR, last.letter} else last


def _answers(text: str) -> list[tuple[int, int, str]]:
    """Where what is said to be the answer begins, where the words before it end, and what follows on their line."""
    found = [(match.start(), match.end(), text[match.end() :].partition("\n")[0]) for match in SAID.finditer(text)]
    found += [(match.start(), match.end(), match[1] or match[2] or "") for match in BOXED.finditer(text)]
    labels = [*LABEL.finditer(text)]
    if len(labels) == 1 and not any(start <= labels[0].end() <= end for start, end, _ in found):
        found.append((labels[0].start(), labels[0].end(), text[labels[0].end() :].partition("\n")[0]))
    return sorted(found)


def _is_doubted(text: str, place: int) -> bool:
    """Whether the clause before a place denies, asks or supposes."""
    before = text[max(place - LONGEST_CLAUSE, 0) : place]
    clause = CLAUSE.split(before)[-1]
    return bool(DOUBTED.search(clause) or DEPENDENT.match(clause))


def called_correct(text: str, options: Options) -> list[tuple[str, int]]:
    """The letters that are called correct, and where; ``UNCLEAR`` for two at once, a question, and what is possible."""
    found = []
    for letter, start, end in _mentions(text, options):
        before = text[max(start - LONGEST_CLAUSE, 0) : start]
        if praise := PRAISE.match(text, end):
            sentence = SENTENCE.match(text, praise.end())
            asks = sentence is not None and sentence[0].endswith("?")
            unclear = asks or JOINED_BEFORE.search(before) or _is_doubted(text, start)
            found.append((UNCLEAR if unclear else letter, start))
        elif POSSIBLE.match(text, end) or POSSIBLY_BEFORE.search(before):
            found.append((UNCLEAR, start))
    return found


def said_to_be(text: str, options: Options) -> str | None:
    """The option whose whole text a reply of one line says "it is" before; None where it says something else."""
    found = IT_IS.fullmatch(text)
    repeated = options.repeated(found["what"]) if found else []
    return repeated[0] if len(repeated) == 1 else None


def is_withdrawn(letter: str, rest: str, options: Options) -> bool:
    """Whether ``rest``, which follows where a letter is named, takes it back: for another one, or for several."""
    several = SEVERAL.search(rest)
    if several and not options.repeated(several["said"]):
        return True
    found = WITHDRAWN.search(rest)
    after = rest[found.end() :] if found else ""
    return bool(options.mentions(after) - denied_letters(after, options) - {letter})


def denied_letters(text: str, options: Options) -> set[str]:
    """The letters of which it is said that they are not the answer."""
    return {
        letter
        for letter, start, end in _mentions(text, options)
        if BLAME.match(text, end) or NOT_BEFORE.search(text[max(start - LONGEST_CLAUSE, 0) : start])
    }


def last_line(text: str, options: Options) -> str | None:
    """The option that the last of several lines consists of: its letter alone, with its text, or its text alone."""
    line = text.rpartition("\n")[2].strip()
    letter = options.named(line, in_statement=False)
    if letter is None or line == text or line.endswith("?") or options.listed(text):
        return None
    if len(options.alone_on_lines(text)) > 1:
        return UNCLEAR
    texts = (options.text_at(line), options.text_at(line[2:].lstrip(")]. :")))
    return letter if options.alone(line) or letter in texts else None


def only_mention(text: str, options: Options) -> set[str]:
    """The only option of which a reply speaks, if its letter, in brackets or after "option", ends a sentence."""
    found = list(_mentions(text, options))
    letters = {letter for letter, _, _ in found}
    if options.mentions(text) - letters:
        return set()
    ends = any(
        end - start > 1 and SENTENCE_ENDS.match(text, end) and not _is_doubted(text, start) for _, start, end in found
    )
    return letters if ends and len(letters) == 1 else set()


def _mentions(text: str, options: Options) -> Iterator[tuple[str, int, int]]:
    """The letters of options in a text, in capitals, with the place of each and that of what follows its text."""
    for match in OPTION.finditer(text):
        letter = match["bracketed"] or match["bare"]
        named = match.end() - match.start() > 1  # in brackets, or after "option"
        if letter in options.letters and (named or options.is_letter(match, text)):
            yield letter, match.start(), match.end()
