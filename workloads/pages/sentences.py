"""Sentences of the pages: drawn from templates, each word and punctuation mark a cell of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workloads.pages.words import WORDS

STOP, COMMA = ".", ","
PUNCTUATION = (STOP, COMMA)
TEMPLATES = tuple(
    template.split()
    for template in (
        "The {adjective} {thing} in the {place} belongs to the {mood} {person} from {city} .",
        "On {day} {time} the {person} {found} the {adjective} {thing} behind the {place} .",
        "{name} {found} the {adjective} {thing} near the {land} before the {weather} came .",
        "Every {time} the {mood} {person} {walked} past the {place} with the {adjective} {thing} .",
        "In {month} the {person} and the {person} {walked} to {city} to see the {adjective} {place} .",
        "When the {weather} began , {name} {walked} into the {place} and {found} the {thing} .",
        "{name} told the {person} that the {animal} was sleeping under the {adjective} {thing} .",
        "Nobody knew why the {mood} {person} always kept the {colour} {thing} in the {place} .",
        "After the {person} left the {place} , the {animal} {slept} beside the {adjective} {thing} .",
        "The {person} from {city} teaches {subject} to every {mood} {person} in the {place} .",
        "Last {season} the {animal} {walked} across the {land} and {slept} near the {place} .",
        "My {person} gave the {colour} {thing} to {name} because the {person} was {mood} .",
        "Many years ago the {mood} {person} built the {adjective} {place} beside the {land} .",
        "The {animal} and the {animal} {adverb} {walked} along the {land} toward the {place} .",
        "Under the {thing} there was the {adjective} {thing} made of {material} from {city} .",
        "{name} and {name} {found} the {number} coins inside the {adjective} {thing} at the {place} .",
        "If the {weather} stops , the {person} will carry the {thing} to the {adjective} {place} .",
        "The letter from {name} says that the {person} in {city} lost the {adjective} {thing} .",
        "For {number} days the {mood} {person} {slept} in the {place} without the {thing} .",
        "Before {season} the {person} must bring the {food} and the {food} to the {place} .",
        "{name} likes the {food} with {food} , but the {mood} {person} likes the {food} .",
        "At the {place} in {city} , the {person} {adverb} {found} the {material} {thing} .",
        "Our {person} saw the {animal} near the {land} while {name} {slept} in the {place} .",
        "Because the {place} was {adjective} , {name} put the {thing} beside the {colour} {thing} .",
        "The road from {city} to {city} leads past the {adjective} {place} and the {land} .",
        "Each {person} in the {place} wants the {colour} {thing} and the {adjective} {thing} .",
        "{name} will meet the {mood} {person} at the {place} on {day} {time} .",
        "Some people in {city} say that the {animal} once lived in the {adjective} {place} .",
        "While {name} studied {subject} , the {person} {found} the {thing} in the {place} .",
        "The {colour} {thing} on the {thing} is older than the {material} {thing} in the {place} .",
        "Since {month} the {mood} {animal} has lived with {name} near the {adjective} {place} .",
        "Only the {person} knows that {name} hid the {thing} behind the {colour} {thing} .",
        "His {person} wrote about {subject} and sent the {thing} to the {person} in {city} .",
        "Her {colour} {thing} was under the {thing} when the {person} {walked} into the {place} .",
        "Both the {person} and {name} saw the {mood} {animal} beside the {adjective} {place} .",
        "During the {weather} the {animal} hid in the {place} and ate the {food} .",
        "Without the {thing} the {person} could not open the {adjective} {thing} of {name} .",
        "Near {city} the {person} {found} the {food} and the {thing} in the {adjective} {place} .",
        "Today the {mood} {person} sold the {material} {thing} to {name} for {number} coins .",
        "Next {season} the {person} of {city} will show the {thing} at the {place} .",
        "Not far from the {land} , the {person} {found} the {adjective} {thing} under the {thing} .",
        "One {mood} {person} {slept} near the {land} until the {animal} {walked} toward {city} .",
        "Most days the {person} eats the {food} at the {place} with {name} .",
        "According to {name} , the {person} {adverb} {walked} from the {place} to the {land} .",
        "Behind the {place} the {animal} and the {animal} eat the {food} from the {thing} .",
        "Long before {name} came to {city} , the {person} {found} the {adjective} {land} .",
        "{name} keeps the {colour} {thing} and the {adjective} {thing} in {city} .",
        "People in {city} often buy the {food} and the {material} {thing} .",
        "All {season} the {mood} {person} and {name} {slept} in the {place} .",
        "When {name} {walked} to {city} in {month} , the {mood} {person} and the {animal} {slept} beside the {thing} .",
        "Although the {person} wanted {food} , {name} {walked} across the {land} and {found} the {adjective} {thing} .",
        "Once the {mood} {person} from the {place} asked {name} to bring the {thing} and the {food} to {city} .",
    )
)
CLAUSES = tuple(
    clause.split()
    for clause in (
        "The {person} from {city} {found} the {adjective} {thing}",
        "My {person} {found} the {colour} {thing} in the {place}",
        "The {mood} {person} {slept} near the {adjective} {place}",
        "In {month} the {person} {walked} to the {adjective} {place}",
        "Our {animal} {slept} under the {adjective} {thing}",
        "On {day} the {person} {found} the {material} {thing}",
        "Her {person} {adverb} {walked} across the {land}",
        "Every {time} the {mood} {animal} {slept} beside the {land}",
        "His {mood} {person} {found} the {food} and the {food}",
        "One {person} of {city} studied {subject} at the {place}",
        "The {animal} and the {animal} {walked} toward the {land}",
        "That {season} the {person} {found} the {thing} made of {material}",
        "Near {city} the {mood} {person} {walked} past the {place}",
        "Each {person} in the {place} {found} the {adjective} {thing}",
        "For {number} days the {animal} {slept} behind the {place}",
        "Some {person} in {city} {found} the {colour} {thing}",
    )
)
"""Beginnings of sentences, each complete in itself."""

LINKS = (
    "because",
    "before",
    "after",
    "while",
    "until",
    "when",
    "since",
    "although",
    "though",
    "unless",
    "once",
    "as",
    "if",
    "where",
    "whenever",
    "whereas",
)
"""Words between a clause and what follows it, as many as there are clauses."""

ENDINGS = tuple(
    ending.split()
    for ending in (
        "{name} {walked} to the {place} .",
        "{name} {found} the {colour} {thing} .",
        "{name} {slept} in the {place} .",
        "{name} sold the {food} to the {person} .",
        "{name} wrote about {subject} .",
        "{name} saw the {animal} near the {land} .",
    )
)
"""Ends of sentences that go with any beginning."""

VOCABULARY = tuple(
    sorted(
        {word for words in WORDS.values() for word in words}
        | {word for template in (*TEMPLATES, *CLAUSES, *ENDINGS) for word in template if not word.startswith("{")}
        | set(LINKS)
    )
)
"""Every text that a cell of a page can hold, blank cells aside."""

IDENTIFYING = 5  # so many first words of a sentence stand in no other sentence of its case
FIRST = 3  # so many in no other sentence of its page


@dataclass(frozen=True)
class Sentence:
    """One sentence.

    Attributes:
        cells: its words and punctuation marks; the last is a full stop.
        kinds: for each cell the key of ``WORDS`` whose words can stand there; None where the template fixes it.
    """

    cells: tuple[str, ...]
    kinds: tuple[str | None, ...]

    def slots(self, first: int) -> list[int]:
        """The places from ``first`` on where another word of the same kind can stand."""
        return [place for place, kind in enumerate(self.kinds) if kind is not None and place >= first]

    def replaced(self, rng: np.random.Generator, places: Iterable[int]) -> Sentence:
        """The same with other words in ``places``, none of which it has already."""
        cells = list(self.cells)
        for place in places:
            kind = self.kinds[place]
            if kind is None:
                raise ValueError(f"the word '{cells[place]}' is fixed by its template")
            cells[place] = _draw(rng, kind, {*cells, *self.cells})
        return replace(self, cells=tuple(cells))


def draw_sentence(rng: np.random.Generator, template: Sequence[str]) -> Sentence:
    """Fill a template with random words, all of them different."""
    cells: list[str] = []
    kinds: list[str | None] = []
    for part in template:
        kind = part[1:-1] if part.startswith("{") else None
        cells.append(part if kind is None else _draw(rng, kind, cells))
        kinds.append(kind)
    return Sentence(tuple(cells), tuple(kinds))


def write(cells: Iterable[str]) -> str:
    """Cells as running text: punctuation follows the word before it without a space."""
    return "".join(cell if cell in PUNCTUATION else f" {cell}" for cell in cells).lstrip()


def _draw(rng: np.random.Generator, kind: str, taken: Iterable[str]) -> str:
    """A random word of a kind that is not ``taken``."""
    excluded = set(taken)
    words = [word for word in WORDS[kind] if word not in excluded]
    return words[rng.integers(len(words))]
