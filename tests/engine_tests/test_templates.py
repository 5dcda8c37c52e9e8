"""Chat templates of others: what refuses messages fails the request, what never ends fails the model, in one line."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runners.base import Request
from runners.builtin import MODEL_DIR
from runners.engine.adapters import template as templates
from runners.engine.adapters.bounded import Exceeded, bounded
from runners.models.load import load_model
from runners.records import Status
from workloads.errors import UsageError
from workloads.records import Message

ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}BODY{% endfor %}{% endfor %}"
COSTLY = {
    "loops silently": ENDLESS.replace("BODY", ""),
    "writes gigabytes": ENDLESS.replace("BODY", "x" * 99),
    "multiplies": "{{ 'a' * 10000000000 }}",
    "doubles": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "pads": "{{ '%99999999999d' % 1 }}",
    "fills": "{{ 'a'.ljust(99999999999) }}",
    "lists": "{{ (range(99999) | list) * 99999 }}",
    "raises powers": "{{ (9 ** 99999999) > 1 }}",
    "recurses": "{% macro f(n) %}{{ f(n + 1) ~ f(n + 2) if n < 60 }}{% endmacro %}{{ f(0) }}",
}
NO_PICTURES = {
    "texts": "{% for m in messages %}{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}{% endfor %}",
    "prints": "{% for m in messages %}{{ m.content | string }}{% endfor %}",
    "nothing": "",
}
REFUSING = {
    "raises": ("{{ raise_exception('Roles must alternate\n\x1b[31m!') }}", r"Roles must alternate"),
    "concatenates": ("{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}", "made for texts alone"),
    "reaches": ("{{ messages.__class__.__mro__ }}", "unsafe"),
    "misses": ("{{ nothing.of.it }}", "undefined"),
    "divides": ("{{ 1 / 0 }}", "division by zero"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL_DIR, tmp_path / "model"))


@pytest.mark.parametrize("template", COSTLY.values(), ids=COSTLY)
def test_a_template_that_never_ends_or_fills_memory_is_refused_with_its_model(
    lab: Any, copy: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "SECONDS", 0.2)
    (copy / "chat_template.jinja").write_text(template)
    start = time.perf_counter()
    with pytest.raises(UsageError, match=r"^model 'mine': chat_template.jinja: rendering the chat template takes more"):
        load_model("mine", copy, "float32", "cpu")
    assert time.perf_counter() - start < 2.0


def test_a_template_that_loops_for_one_request_fails_that_request(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    good = lab.adapter._tokenizer.chat_template
    bad = "{% if 'loop' in (messages | string) %}" + COSTLY["loops silently"] + "{% endif %}" + good
    monkeypatch.setattr(lab.adapter._tokenizer, "chat_template", bad)
    monkeypatch.setattr(templates, "SECONDS", 0.3)
    engine = lab.engine(lab.method("full"))
    failed = engine.answer(lab.ask("loop", lab.picture(0)))
    assert (failed.status, failed.error) == (
        Status.ERROR,
        "the prompt cannot be rendered (chat_template.jinja takes more than 0.3 s)",
    )
    assert engine.answer(lab.ask("See", lab.picture(0))).status is Status.OK


@pytest.mark.parametrize(("template", "told"), REFUSING.values(), ids=REFUSING)
def test_a_template_that_refuses_messages_fails_the_request(
    lab: Any, monkeypatch: pytest.MonkeyPatch, template: str, told: str
) -> None:
    monkeypatch.setattr(lab.adapter._tokenizer, "chat_template", template)
    response = lab.engine(lab.method("full")).answer(lab.ask("See", lab.picture(0)))
    assert response.status is Status.ERROR
    assert response.error.startswith("the prompt cannot be rendered (chat_template.jinja: ")
    assert told in response.error
    assert response.error.isprintable()


@pytest.mark.parametrize("template", NO_PICTURES.values(), ids=NO_PICTURES)
def test_a_template_that_drops_pictures_is_named(lab: Any, monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    monkeypatch.setattr(lab.adapter._tokenizer, "chat_template", template)
    response = lab.engine(lab.method("full")).answer(lab.ask("See", lab.picture(0), lab.picture(1)))
    assert response.status is Status.ERROR
    assert response.error == "chat_template.jinja leaves out 2 of 2 images: it may be made for texts alone"


def test_a_template_that_writes_far_too_much_fails_the_request(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.adapter._tokenizer, "chat_template", "{{ 'x' * 10000000 }}")
    response = lab.engine(lab.method("full")).answer(lab.ask("See"))
    assert response.status is Status.PROMPT_TOO_LONG


def test_a_prompt_of_ten_megabytes_is_not_tokenised(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = lab.adapter._tokenizer
    monkeypatch.setattr(type(tokenizer), "encode", lambda *_, **__: pytest.fail("tokenised"))
    request = Request("request", (Message("user", ("word " * 2_000_000, lab.picture(0))),), 4)
    response = lab.engine(lab.method("full")).answer(request)
    assert response.status is Status.PROMPT_TOO_LONG
    assert response.error == (
        f"the prompt's 10000000 characters do not fit the model's context of {lab.adapter.shape.context} tokens: "
        "no more than 16 for each are tokenised"
    )


@pytest.mark.parametrize(
    "template", ["{% if %}", "{{ x", "{% include 'x' %}{% for %}", "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"]
)
def test_a_text_that_is_no_template_is_refused_with_its_model(copy: Path, template: str) -> None:
    (copy / "chat_template.jinja").write_text(template)
    with pytest.raises(UsageError, match=r"^model 'mine': chat_template.jinja is no chat template: ") as caught:
        load_model("mine", copy, "float32", "cpu")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", ["1", "[]", "true", '{"x": "y"}', '[{"name": "x", "template": "y"}]', "[1]"])
@pytest.mark.parametrize("file", ["chat_template.json", "processor_config.json"])
def test_a_template_that_is_no_text_is_refused(copy: Path, file: str, value: str) -> None:
    (copy / file).write_text(f'{{"chat_template": {value}}}')
    with pytest.raises(UsageError, match=rf"^model 'mine': .*({file}|no chat template)"):
        load_model("mine", copy, "float32", "cpu")


def spin() -> None:
    while True:
        pass


def test_loops_are_stopped_in_every_thread() -> None:
    found: list[BaseException] = []

    def run() -> None:
        try:
            with bounded(0.05, 1 << 30):
                spin()
        except Exceeded as error:
            found.append(error)

    run()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert list(map(str, found)) == ["takes more than 0.05 s"] * 2
