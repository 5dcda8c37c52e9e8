"""The HTML page: self-contained, sealed against what a run holds, and readable without seeing it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reports.html import flip_cards
from reports.html.flip_cards import explore
from reports.html.page import render
from reports.run.changed_answers import content_name
from reports.runs import Run, read_runs
from runners.records import Record, record_key

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr"}
HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7*7*7 }}\x00\x1b[31m$x$"


class Page(HTMLParser):
    """Elements of a page in order, with the texts of style, script and title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        place = self.inside[-1] if self.inside else ""
        self.texts[place] = self.texts.get(place, "") + data

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    def values(self, name: str) -> Iterator[str]:
        return (attributes[name] for _, attributes in self.elements if name in attributes)


def page_of(run: Run, with_media: bool = True) -> Page:
    return Page(render([run], None, with_media))


@pytest.fixture
def page(page_text: str) -> Page:
    return Page(page_text)


def hostile(save_run: Any, **other: Any) -> Run:
    """A run whose names, answers, questions and versions all try to break out of the page."""

    def change(told: dict[str, Any]) -> None:
        told["created"] = told["model"]["name"] = told["model"]["device_name"] = HOSTILE
        told["environment"]["libraries"][HOSTILE] = told["environment"]["platform"] = HOSTILE
        told["config"][HOSTILE] = told["runners"][1]["options"][HOSTILE] = HOSTILE
        told["runners"].append({"label": HOSTILE, "method": HOSTILE, "lossless": False})
        told["sweep"]["runners"][HOSTILE] = {"family": HOSTILE, "ratio": 0.1}
        told["workloads"][HOSTILE] = HOSTILE

    folder = save_run("hostile", change=change, **other)
    (run,) = read_runs([folder], 0.02, 0.05)
    return run


def test_it_asks_nobody_for_anything(page: Page) -> None:
    addresses = [*page.values("src"), *page.values("href"), *page.values("xlink:href")]
    assert {address.partition(":")[0] for address in addresses if not address.startswith("#")} == {"data"}
    assert not re.search(r"url\((?!#)|@import|https?:", page.texts["style"] + page.texts["script"])
    assert not {"img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.elements}


def test_its_policy_allows_its_own_style_and_script_alone(page: Page) -> None:
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    for kind in ("style", "script"):
        assert len(page.all(kind)) == 1
        digest = b64encode(sha256(page.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for _, attributes in page.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_what_a_run_holds_stays_text(save_run: Any) -> None:
    def named(record: Record) -> Record:
        if record.runner != "vlcache@ratio=0":
            return replace(record, error=HOSTILE, answer=record.answer and HOSTILE, gold=(HOSTILE,))
        key = record_key(record.workload, record.request, HOSTILE)
        return replace(record, runner=HOSTILE, key=key, answer=f"{HOSTILE}!")

    page = render([hostile(save_run, each=named)], None, True)
    found = Page(page)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", page)
    assert len(found.all("script")) == 1
    assert not found.all("img")
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:30] in "".join(found.texts.values())
    assert "2401" not in found.texts["title"]


def test_names_are_unique_and_references_lead_somewhere(page: Page) -> None:
    assert [name for name, count in Counter(page.values("id")).items() if count > 1] == []
    names = set(page.values("id"))
    local = [address[1:] for address in page.values("href") if address.startswith("#")]
    clipped = [name for value in page.values("clip-path") for name in re.findall(r"#([^)]*)", value)]
    labels = [name for value in page.values("aria-labelledby") for name in value.split()]
    assert {*local, *clipped, *labels} <= names


def test_it_can_be_read_without_seeing_it(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in head for head in page.all("th"))
    pictures = [svg for svg in page.all("svg") if "aria-hidden" not in svg]
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 3 for svg in pictures)
    assert len([tag for tag, _ in page.elements if tag == "main"]) == 1
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    areas = [area for area in page.all("div") if area.get("class") == "scroll"]
    assert all(area["tabindex"] == "0" and area["aria-label"] for area in areas)


def test_every_kind_of_drawing_has_its_numbers_beside_it(page_text: str) -> None:
    for part in ("verdicts", "curves", "pareto", "times", "hits"):
        section = page_text[page_text.index(f'id="r0-{part}"') :]
        section = section[: section.index("</section>")]
        assert section.count("<figure") >= 2, part
        assert section.count("<summary>Numbers: ") >= 2, part


def test_changed_answers_are_shown_with_question_picture_and_what_was_computed(page_text: str) -> None:
    cards = page_text.split('<details class="card"')[1:]
    assert [re.findall(r"Is (\d) in the", card)[0] for card in cards] == ["3", "5", "6", "7"]
    changed, begun, clip, failed = cards
    assert [card.count("<dt>Answer begins</dt>") for card in cards] == [0, 1, 0, 0]
    assert "<dt>Answer begins</dt><dd><q>It is</q></dd>" in begun
    assert '<span class="question">Is 5 in the image? It is</span>' in begun
    for told in ("image 3", "vlcache<wbr>@ratio=0", "correct → wrong", "all 12 tokens reused", "<td>1</td>"):
        assert told in changed
    assert clip.count("<use ") == 2 + 2
    assert "12 of 24 tokens computed (50.0%)" in clip
    assert "M0 0h4v1h-4zM0 1h4v1h-4zM0 2h4v1h-4z" in clip
    assert "no answer" in failed
    assert "<td>out-of-memory: no room</td>" in failed
    assert '<dd><q>yes</q> <span class="muted">score 1</span></dd>' in failed


def test_without_media_there_is_no_picture_and_a_line_says_so(run: Run) -> None:
    found = page_of(run, with_media=False)
    assert not found.all("image")
    assert "Pictures are left out (--no-media)." in found.texts["p"]


def test_pictures_beyond_the_bound_are_left_out_and_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.html.thumbnails.MOST_BYTES", 200)
    found = explore(run, True, "x")
    assert len(found.album.thumbnails) <= 1
    assert re.fullmatch(r"\d pictures are left out: the page holds 3 MB of them\.", found.notes[0])


def test_requests_beyond_the_bound_are_left_out_and_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flip_cards, "MOST_CARDS", 1)
    monkeypatch.setattr(flip_cards, "MOST_OVERLAY_CHARACTERS", 0)
    found = explore(run, True, "x")
    assert (len(found.cards), found.requests) == (1, 4)
    assert found.notes[0] == "3 of 4 requests are left out; those with most losses are shown."


def test_no_byte_of_a_given_file_reaches_the_page(save_run: Any) -> None:
    folder: Path = save_run()
    asked = (folder / "asked.jsonl").read_text()
    for number, file in enumerate(list((folder / "media").iterdir())):
        data = b"\x89PNG\r\n\x1a\n<script>alert(%d)</script>" % number
        asked = asked.replace(file.name, content_name(data))
        (folder / "media" / content_name(data)).write_bytes(data)
    (folder / "asked.jsonl").write_text(asked)
    (run,) = read_runs([folder], 0.02, 0.05)
    found = explore(run, True, "x")
    assert found.album.thumbnails == []
    assert found.notes == ["2 media could not be decoded; their names stand in their place."]


def test_runs_side_by_side_stand_in_one_page(save_run: Any) -> None:
    def few(record: Record) -> Record | None:
        return record if record.workload == "binding" else None

    runs = read_runs([save_run("a", each=few), save_run("b", each=few)], 0.02, 0.05)
    found = Page(render(runs, None, True))
    assert [name for name, count in Counter(found.values("id")).items() if count > 1] == []
    assert {"comparison", "r0", "r1"} <= set(found.values("id"))
