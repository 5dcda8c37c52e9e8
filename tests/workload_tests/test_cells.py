"""Cells of text pages: every word of the closed vocabulary fits, and looks like itself alone."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from workloads.pages.cells import BLANK, CELL, CELLS, LETTERS, LINES, SIDE, TextPage, draw_cell, token_text
from workloads.pages.sentences import PUNCTUATION, TEMPLATES, VOCABULARY, draw_sentence, write
from workloads.pages.words import WORDS
from workloads.seeding import stream
from workloads.synthetic.drawing import encode_png


def test_every_text_of_a_cell_has_a_picture_of_its_own() -> None:
    pictures = {draw_cell(text).tobytes() for text in (*VOCABULARY, BLANK)}
    assert len(pictures) == len(VOCABULARY) + 1
    assert (draw_cell(BLANK) == 255).all()


def test_nothing_is_cut_off() -> None:
    """The ink of a cell is that of its lines, drawn where there is room."""
    font = ImageFont.load_default_imagefont()
    for text in VOCABULARY:
        ink = 0
        for start in range(0, len(text), LETTERS):
            canvas = Image.new("L", (100, 100), 0)
            ImageDraw.Draw(canvas).text((30, 30), text[start : start + LETTERS], font=font, fill=255)
            ink += int((np.asarray(canvas) > 0).sum())
        assert (draw_cell(text) < 255).sum() == ink, text


def test_cells_are_black_on_white_with_white_between_them() -> None:
    for text in VOCABULARY:
        tile = draw_cell(text)
        assert tile.shape == (CELL, CELL)
        assert set(np.unique(tile)) == {0, 255}
        assert (tile[:, [0, 1, -1]] == 255).all()


def test_pixels_stay_what_they_were() -> None:
    digest = hashlib.sha256(b"".join(draw_cell(text).tobytes() for text in VOCABULARY)).hexdigest()
    assert digest[:16] == "7b11489fde596f91"


def test_a_word_too_long_is_refused() -> None:
    assert draw_cell("x" * LETTERS * LINES).any()
    with pytest.raises(ValueError, match="'xxxxxxxxxxxxx' has more than the 12 letters that a cell can hold"):
        draw_cell("x" * (LETTERS * LINES + 1))


def test_a_page_shows_its_cells_in_reading_order() -> None:
    cells = (*VOCABULARY[:100], *[BLANK] * (CELLS - 100))
    page = TextPage(cells)
    assert page.content_share == 100 / CELLS
    with Image.open(io.BytesIO(encode_png(page))) as file:
        assert (file.mode, file.size) == ("L", (SIDE * CELL, SIDE * CELL))
        pixels = np.asarray(file)
    for place, text in enumerate(cells):
        row, column = (CELL * number for number in divmod(place, SIDE))
        assert (pixels[row : row + CELL, column : column + CELL] == draw_cell(text)).all()


def test_a_page_is_full() -> None:
    with pytest.raises(ValueError, match="a page has 225 cells, not 3"):
        TextPage(("a", "b", "c"))


def test_tokens_are_words_after_a_space_and_bare_marks() -> None:
    assert [token_text(cell) for cell in ("farmer", ",", ".", BLANK)] == [" farmer", ",", ".", "\n"]


def test_there_are_words_and_templates_enough() -> None:
    assert len(VOCABULARY) >= 600
    assert len(TEMPLATES) >= 25
    assert all(len(set(words)) == len(words) for words in WORDS.values())


def test_sentences_are_of_the_vocabulary_and_end_in_a_stop() -> None:
    rng = stream("bench", "sentences")
    for template in TEMPLATES * 5:
        sentence = draw_sentence(rng, template)
        assert set(sentence.cells) <= set(VOCABULARY)
        assert sentence.cells[-1] == "."
        assert sentence.cells[0][0].isupper()
        assert 9 <= sum(cell not in PUNCTUATION for cell in sentence.cells) <= 20
        assert "".join(map(token_text, sentence.cells)) == f" {write(sentence.cells)}"
        assert sentence.slots(6)


def test_words_are_replaced_by_others_of_their_kind() -> None:
    rng = stream("bench", "replaced")
    for template in TEMPLATES:
        sentence = draw_sentence(rng, template)
        for place in sentence.slots(0):
            other = sentence.replaced(rng, [place])
            assert [at for at, cell in enumerate(other.cells) if cell != sentence.cells[at]] == [place]
            kind = sentence.kinds[place]
            assert kind is not None
            assert other.cells[place] in WORDS[kind]


def test_a_word_of_the_template_is_not_replaced() -> None:
    rng = stream("bench", "fixed")
    with pytest.raises(ValueError, match="the word 'The' is fixed by its template"):
        draw_sentence(rng, TEMPLATES[0]).replaced(rng, [0])
