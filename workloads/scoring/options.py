"""The options of a question, and how a text names one: by its letter, by letter and text, or by its whole text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase

from workloads.scoring.reply import plain

NOUN = r"(?:(?:the\s+)?(?:option|choice|letter|answer)\s+)?"
ALONE = re.compile(r"\W*(?P<letter>[A-Za-z])(?![+#%&/@\u00b0-])\W*")  # (B), B., b; and no C++
LABELLED = re.compile(  # (B) the cat, B. the cat, B: the cat
    r"(?:[(\[{](?P<bracketed>[A-Za-z])[)\]}][.:,]?|(?P<marked>[A-Za-z])\s?[).:](?=\s|$))"
)
WITH_TEXT = re.compile(r"(?P<letter>[A-Z])\s*(?:[.:=/,]|[(\[])\s*(?P<text>\w.+?)[)\]]?[.!]?")  # B (the cat), B.the cat
IN_BRACKETS = re.compile(r"[(\[{]?(?P<text>[^()\[\]{}\n]+)[)\]}][.:,]?")  # (2), 2)
AFTER = (  # what may follow the letter itself
    r"because|since|due\s+to|based\s+on|according\s+to|as\s+(?:it|the|we|you|there)|rather\s+than|instead\s+of"
    r"|(?:and\s+|but\s+)?not"
)
AND_YET = r"however|though|although|on\s+the\s+other|for\s+(?:example|instance)|but|for\s+one|too|while|whereas|like"
EXPLAINED = re.compile(
    rf"(?P<letter>[A-Z])[)\]]?(?P<mark>[\"'\u2019\u201d]?(?:\s*[,;\n]|\s+\(|\s+[-\u2013\u2014]+\s)(?!\s*(?:{AND_YET})\b)"
    rf"|[\"'\u2019\u201d]?\s+(?:{AFTER})\b)"
)
QUOTES = "\"'\u2018\u201c\u300c\u3010 \t\n"
OPENING = re.compile(r"(?:[\s\"'\u2018\u201c\u300c\u3010]|[#>\u2022-]+\s)+")  # with headings and bullets, but no minus
LOOK_AHEAD = 40  # characters after a capital, which tell a letter from an article
AT_THE_END = ".,;:!?\"'\u2019\u201d"
SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=[^\s.!?]))*[.!?]*")
MENTION = re.compile(r"(?<![\w'\u2019.])(?P<letter>[A-Z])(?![\w'\u2019]|\.[A-Za-z])")
VERB = (
    r"(?:is|was|and|or|because|would|could|can|may|might|must|should|seems|looks|does|has|shows|also|too|as|nor|are)\b"
)
NO_ARTICLE = re.compile(rf"(?!\s+[^\W\d_])|\s+{VERB}")
NO_PRONOUN = re.compile(r"(?!\s+[^\W\d_])|\s+(?:is|and|or|nor|because)\b")
SUBJECT = re.compile(rf"\s+(?!(?:and|or|nor|also|too)\b){VERB}")
JOINED = re.compile(
    r"[\s,;/&|()\[\]{}.:\"'\u2019\u201d-]*(?:(?:or|and|nor|maybe|perhaps|possibly|even|also|then)\b\s*)*[(\[{]?"
)
LIST_ITEM = r"(?:[(\[{{]{letter}[)\]}}][.:]?|(?<!\w){letter}\s?[).:])\s*"


@dataclass(frozen=True)
class Options:
    """The options of a question; ``texts`` are normalised, and empty where only letters are known."""

    letters: str
    texts: tuple[str, ...]

    @staticmethod
    @lru_cache(maxsize=256)
    def of(choices: tuple[str, ...]) -> Options:
        """The options with these texts; without any, every letter may be one's."""
        letters = ascii_uppercase[: len(choices)] if choices else ascii_uppercase
        return Options(letters, tuple(normalised(choice) for choice in choices))

    def repeated(self, text: str) -> list[str]:
        """The letters of the options whose whole text this is."""
        own = normalised(text)
        return [letter for letter, known in zip(self.letters, self.texts, strict=False) if known == own and own]

    def whole(self, text: str) -> list[str]:
        """The letters of the options that a text repeats as a whole, with or without their letters."""
        if repeated := self.repeated(text):
            return repeated
        if match := LABELLED.match(text.strip()):
            labelled = (match["bracketed"] or match["marked"]).upper()
            return [letter for letter in self.repeated(text.strip()[match.end() :]) if letter == labelled]
        if match := WITH_TEXT.fullmatch(text.strip()):
            return [letter for letter in self.repeated(match["text"]) if letter == match["letter"]]
        match = IN_BRACKETS.fullmatch(text.strip())
        return self.repeated(match["text"]) if match else []

    def alone(self, text: str) -> str | None:
        """The letter that a text consists of, apart from brackets and punctuation; not one with a question mark."""
        match = ALONE.fullmatch(text.strip())
        letter = match["letter"].upper() if match else ""
        return letter if letter and letter in self.letters and "?" not in text else None

    def alone_on_lines(self, text: str) -> set[str]:
        """The letters that lines consist of."""
        return {letter for line in text.splitlines() if (letter := self.alone(line)) is not None}

    def named(self, text: str, in_statement: bool = True) -> str | None:
        """The option that a text consists of or begins with; None where it is none, or another may be meant.

        Args:
            text: what follows "the answer is", or a whole reply.
            in_statement: whether it follows such words; otherwise "I, too, ..." is not the letter I.
        """
        opening = OPENING.match(text)
        bare = re.sub(rf"^{NOUN}", "", text[opening.end() if opening else 0 :].strip(), flags=re.IGNORECASE)
        if letter := self.alone(bare):
            is_article = in_statement and bare == "a"  # and the reply breaks off
            return None if is_article else letter
        if whole := self.whole(text) or self.whole(bare):
            return whole[0] if len(whole) == 1 else None
        if match := LABELLED.match(bare):
            return self._labelled(match, bare[match.end() :])
        if match := EXPLAINED.match(bare):
            letter, rest = match["letter"], bare[match.end("letter") :]
            is_other = not in_statement and ("(" in match["mark"] or (letter == "I" and "\n" not in match["mark"]))
            following = rest.lstrip(f"{AT_THE_END} -(\u2013\u2014\n")
            in_brackets = following.partition(")")[0]
            contradicted = {self.text_at(following), self.text_at(in_brackets)} - {None, letter}
            return None if is_other or contradicted else self._unless_joined(letter, rest)
        letter, _, rest = bare.partition(" ")
        if len(letter) == 1 and letter in self.letters and self.text_at(rest) == letter:
            return letter
        first = SENTENCE.match(bare)
        repeated = self.repeated(first[0]) if first and in_statement else []
        return repeated[0] if len(repeated) == 1 else None

    def begun_with(self, text: str) -> str | None:
        """The option that a reply begins with, unless it goes through several of them."""
        return None if self.listed(text) else self.named(text, in_statement=False)

    def mentions(self, text: str) -> set[str]:
        """The options whose letters, in capitals, or whole texts are in a text; no article and no pronoun."""
        letters = self.letters_in(text)
        words = f" {_words(text.casefold())} "
        for letter, known in zip(self.letters, self.texts, strict=False):
            own = _words(known)
            if len(own) > 1 and f" {own} " in words:
                letters.add(letter)
        return letters

    def letters_in(self, text: str) -> set[str]:
        """The options whose letters, in capitals, are in a text; no article and no pronoun."""
        return {match["letter"] for match in MENTION.finditer(text) if self.is_letter(match, text)}

    def _labelled(self, match: re.Match[str], rest: str) -> str | None:
        letter = (match["bracketed"] or match["marked"]).upper()
        found = self.text_at(rest)
        if found is not None:
            return letter if found == letter else None
        are_initials = match["marked"] and re.match(r"\s*[A-Z]\.", rest)
        return None if are_initials else self._unless_joined(letter, match[0][-1] + rest)

    def text_at(self, rest: str) -> str | None:
        """The option whose text a line, or its first sentence, is; that of the letter "?" where several have it."""
        line = rest.strip().partition("\n")[0]
        sentence = SENTENCE.match(line)
        for part in (line, sentence[0] if sentence else line):
            repeated = self.repeated(part)
            if repeated:
                return repeated[0] if len(repeated) == 1 else None
        return None

    def _unless_joined(self, letter: str, rest: str) -> str | None:
        """The letter, unless another one directly follows it."""
        if letter not in self.letters:
            return None
        start = JOINED.match(rest)
        follows = MENTION.match(rest, start.end()) if start else None
        if follows and self.is_letter(follows, rest) and follows["letter"] != letter:
            opens_sentence = re.search(r"[.!\n]", rest[: follows.start()])
            is_subject = opens_sentence and SUBJECT.match(rest, follows.end())
            return letter if is_subject else None
        return letter

    def is_letter(self, match: re.Match[str], text: str) -> bool:
        """Whether the capital that a match ends with is an option's letter, and neither an article nor a pronoun."""
        letter, rest = text[match.end() - 1], text[match.end() : match.end() + LOOK_AHEAD]
        if letter not in self.letters:
            return False
        if letter == "A":
            return NO_ARTICLE.match(rest) is not None
        return letter != "I" or NO_PRONOUN.match(rest) is not None

    def listed(self, text: str) -> bool:
        """Whether a reply goes through options: labels at the start of two lines, or two labels with their texts."""
        starts = {match[1] for match in re.finditer(r"^\W*([A-Z])\s?[).:]", text, re.MULTILINE)}
        if len(starts & set(self.letters)) > 1:
            return True
        lower = normalised(text)
        with_texts = 0
        for letter, known in zip(self.letters, self.texts, strict=False):
            item = LIST_ITEM.format(letter=letter.lower())
            with_texts += bool(known and re.search(item + re.escape(known), lower))
        return with_texts > 1


def _words(text: str) -> str:
    """The words of a text, each after one blank."""
    return " ".join(re.findall(r"[^\W_]+", text))


def normalised(text: str) -> str:
    """A text without LaTeX, emphasis, case, and punctuation around it, for comparison."""
    return " ".join(plain(text).casefold().split()).strip(QUOTES).rstrip(AT_THE_END)
