"""What stands in the HTML page: sections in their order, cards, sentences, and the numbers of rows and records."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

import numpy as np
import pytest

from reports.answers.answer import Word
from reports.answers.of_run import answers_of, block_of, overall_of
from reports.compare import COMPARED, compare
from reports.forms.form import ReportOptions
from reports.report_file import write
from reports.runs import Run, read_runs
from reports.summary.row import COLUMNS, TABLE_COLUMNS, Row
from reports.tables.cells import cell
from runners.records import Record, Timing, Warmth

VOID = {"meta", "link", "br", "wbr", "hr"}
RUNNERS = ["full", "prefix-cache", "vlcache@ratio=0", "vlcache@ratio=0.5"]
BEST = {"binding": ["full", "prefix-cache", "vlcache@ratio=0.5"], "video": ["full", "prefix-cache", "vlcache@ratio=0"]}
SECTIONS = {
    "answers": "The answer, by workload",
    "notices": "Before you believe it",
    "summary": "Summary",
    "verdicts": "Are answers kept?",
    "curves": "Accuracy against what is computed",
    "pareto": "What accuracy costs",
    "times": "Time to first token",
    "hits": "Hits over time",
    "flips": "Changed answers",
    "environment": "Environment",
}
LINKS = [
    "Answers",
    "Notices",
    "Summary",
    "Verdicts",
    "Accuracy",
    "Trade-off",
    "Times",
    "Hits",
    "Changed answers",
    "Environment",
]
PARTS = ("prepare", "preprocess", "encode", "load", "select", "prefill", "head")

Line = Sequence[str]
Lines = list[list[str]]


class Reader(HTMLParser):
    """Builds the tree of a page; every element that is not void must be closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.builder = TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        self.open.append(tag)
        if tag in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.builder.data(data)


def tree(text: str) -> Element:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader.builder.close()


def text_of(element: Element | None) -> str:
    """All text inside, on one line."""
    assert element is not None
    return " ".join("".join(element.itertext()).split())


def texts(elements: Iterable[Element]) -> list[str]:
    return [text_of(element) for element in elements]


def by_id(page: Element, name: str) -> Element:
    (found,) = page.findall(f".//*[@id='{name}']")
    return found


def head_of(table: Element) -> list[str]:
    return texts(table.findall("./thead/tr/th"))


def lines_of(table: Element) -> Lines:
    return [texts(line) for line in table.findall("./tbody/tr")]


def tables(section: Element) -> dict[str, Element]:
    """The tables of a section by their captions, in order."""
    found = [(text_of(table.find("caption")), table) for table in section.iter("table")]
    assert len(dict(found)) == len(found)
    return dict(found)


def figures(section: Element) -> dict[str, Element]:
    """The drawings of a section by their titles, which need not differ between galleries: numbered, then."""
    found: dict[str, Element] = {}
    for figure in section.findall(".//figure[@class='chart']"):
        title = text_of(figure.find("figcaption"))
        found[title if title not in found else f"{title} ({len(found)})"] = figure
    return found


def drawn(figure: Element) -> str:
    """Everything that is written in a drawing: labels, and what is told of its marks."""
    (svg,) = figure.findall("svg")
    shapes = [element for element in svg.iter() if element.tag in ("path", "use")]
    assert len(shapes) > 5
    return " ".join([svg.get("aria-label", ""), *texts(svg.iter("title")), *texts(svg.iter("text"))])


@pytest.fixture(scope="session")
def page(page_text: str) -> Element:
    return tree(page_text)


@pytest.fixture
def both(two_runs: list[Run]) -> Element:
    return tree(write(two_runs, "html", ReportOptions()).decode())


def test_sections_stand_in_their_order_under_their_headings_and_are_linked(page: Element) -> None:
    found = page.findall(".//section")
    assert {section.get("id", "").removeprefix("r0-"): text_of(section.find("h2")) for section in found} == SECTIONS
    assert [section.get("id", "").removeprefix("r0-") for section in found] == list(SECTIONS)
    links = page.findall(".//nav//a")
    assert [link.get("href") for link in links] == [f"#r0-{name}" for name in SECTIONS]
    assert texts(links) == LINKS
    assert text_of(page.find(".//h1")) == "May reuse be switched on, and what do I gain?"
    assert text_of(page.find(".//head/title")) == "May reuse be switched on? mine"
    about = "builtin in float32 on cpu, 16 requests, 4 runners, measured 2026-01-02"
    assert texts(page.findall(".//header/p[@class='about']")) == [about]
    assert text_of(page.find(".//footer")).startswith("Made by vlcache 0.1.0 from saved records.")


def test_every_workload_has_its_answer_in_a_card(run: Run, page: Element) -> None:
    section = by_id(page, "r0-answers")
    cards = section.findall(".//article")
    assert {answer.word for answer in answers_of(run)} == {Word.NOT_YET}
    for card, answer in zip(cards, answers_of(run), strict=True):
        assert [text_of(card.find("h3")), *texts(card.findall("p"))[1:]] == [answer.workload, answer.sentence]
        free = answer.free
        assert free is not None
        gain = text_of(card.find("p[@class='verdict']"))
        assert gain == f"? {answer.word} {free.runner} {free.speedup:.1f}\N{MULTIPLICATION SIGN} as fast"
        assert card.get("class") == "answer open"
    total = overall_of(run)
    assert total is not None
    assert text_of(section.find("p[@class='overall']")) == f"? {total.word} {total.sentence}"


def test_the_block_of_the_screen_opens_the_page(run: Run, page: Element) -> None:
    section = by_id(page, "r0-answers")
    rows = [texts(list(line)) for line in section.findall(".//tbody/tr")]
    assert rows == [list(row) for row in block_of(run).table.rows]
    total = overall_of(run)
    assert total is not None
    notes = [note.text for note in block_of(run).notes if note.text != total.sentence]
    assert texts(section.findall("ul[@class='notes']/li")) == notes


def test_every_notice_is_shown_with_its_advice(run: Run, page: Element) -> None:
    found = by_id(page, "r0-notices").findall(".//li")
    notices = [*run.notices, *run.trade_off.cautions]
    assert len(notices) == 3
    for shown, notice in zip(found, notices, strict=True):
        assert shown.get("class") == notice.kind.style
        tags, told, advice = shown.findall("p")
        assert texts(tags.findall("span"))[:2] == [notice.workload, notice.kind.value.replace("-", " ")]
        assert (text_of(told), text_of(advice)) == (f"{notice.text}.", f"{notice.advice}.")


BADGES = {
    "undecided": "? open",
    "non-inferior": "✓ ok",
    "inferior": "✕ worse",
    "exact": "= exact",
    "broken": "! broken",
    None: "-",
}


def summary_line(row: Row) -> list[str]:
    """A row as the page shows it."""
    label = f"{row.runner} reference" if row.runner == "full" else row.runner
    rest = (BADGES[row.verdict] if column.name == "verdict" else cell(column, row) for column in TABLE_COLUMNS[1:])
    return [label, *rest]


def test_the_summary_shows_the_rows_first_the_best_of_each_family_then_all(run: Run, page: Element) -> None:
    found = tables(by_id(page, "r0-summary"))
    assert list(found) == [
        "binding, 8 requests: best setting of each runner",
        "binding, all runners",
        "video, 8 requests: best setting of each runner",
        "video, all runners",
    ]
    titles = [" ".join(column.title.split()).replace("- ", "") for column in TABLE_COLUMNS]
    for (caption, table), runners in zip(
        found.items(), (BEST["binding"], RUNNERS, BEST["video"], RUNNERS), strict=True
    ):
        workload = caption.partition(",")[0]
        assert head_of(table) == titles
        rows = {row.runner: row for row in run.rows_of(workload)}
        assert lines_of(table) == [summary_line(rows[runner]) for runner in runners]


def test_the_summary_holds_the_numbers_that_the_records_were_made_with(page: Element) -> None:
    line = lines_of(tables(by_id(page, "r0-summary"))["binding, all runners"])[2]
    names = [column.name for column in TABLE_COLUMNS]
    shown = dict(zip(names, line, strict=True))
    assert shown["accuracy"].startswith("75.0 [")
    assert (shown["ttft_ms_p50"], shown["ttft_speedup"], shown["recompute_ratio"]) == ("10.8", "8.00", "0.0")
    assert (shown["executed_flops_ratio"], shown["kv_hit_rate"]) == ("12.5", "75")


def test_the_columns_are_explained(page: Element) -> None:
    legend = by_id(page, "r0-summary").find(".//dl[@class='legend']")
    assert legend is not None
    told = {text_of(entry.find("dt")): text_of(entry.find("dd")) for entry in legend}
    assert len(told) == len(TABLE_COLUMNS)
    for (title, text), column in zip(told.items(), TABLE_COLUMNS, strict=True):
        assert title == " ".join(column.title.split()).replace("- ", "")
        assert text == column.meaning + (f" ({column.better} is better)" if column.better else "")


def percent(value: float | None, spec: str = ".1f") -> str:
    return "-" if value is None else format(100 * value, spec)


def ends(row: Row, name: str, spec: str) -> str:
    low, high = getattr(row, f"{name}_ci_low"), getattr(row, f"{name}_ci_high")
    return "" if low is None else f"[{100 * low:{spec}}, {100 * high:{spec}}]"


def verdict_line(row: Row) -> Line:
    interval = ends(row, "accuracy_delta", "+.1f")
    return percent(row.accuracy), percent(row.accuracy_delta, "+.1f"), interval, row.verdict or ""


def curve_line(row: Row) -> Line:
    _, _, ratio = row.runner.partition("ratio=")
    return ratio or "-", percent(row.recompute_ratio), percent(row.accuracy), ends(row, "accuracy", ".0f")


def pareto_line(row: Row) -> Line:
    optimal = {("binding", "vlcache@ratio=0"), ("binding", "vlcache@ratio=0.5"), ("video", "vlcache@ratio=0")}
    times = f"{row.ttft_speedup:.2f}", f"{row.ttft_ms_p50:.1f}"
    chosen = "yes" if (row.workload, row.runner) in optimal else ""
    return percent(row.accuracy), *times, percent(row.recompute_ratio), chosen


@pytest.mark.parametrize(
    ("name", "caption", "head", "line_of"),
    [
        ("verdicts", "change of accuracy", "accuracy, %|change, points|interval|verdict", verdict_line),
        ("curves", "accuracy by ratio", "ratio set|computed, %|accuracy, %|interval", curve_line),
        ("pareto", "trade-off", "accuracy, %|speed-up, warm|TTFT, ms (all)|computed, %|Pareto-optimal", pareto_line),
    ],
)
def test_drawings_of_the_summary_have_its_numbers(
    run: Run, page: Element, name: str, caption: str, head: str, line_of: Callable[[Row], Line]
) -> None:
    found = tables(by_id(page, f"r0-{name}"))
    assert list(found) == [f"binding, {caption}", f"video, {caption}"]
    for workload, table in zip(run.workloads, found.values(), strict=True):
        assert head_of(table) == ["runner", *head.split("|")]
        assert lines_of(table) == [[row.runner, *line_of(row)] for row in run.rows_of(workload)]


def test_the_drawings_of_the_summary_show_every_runner_that_they_should(page: Element) -> None:
    verdicts = figures(by_id(page, "r0-verdicts"))
    assert list(verdicts) == ["binding", "video"]
    for workload, figure in verdicts.items():
        assert all(f"{runner}: " in drawn(figure) for runner in BEST[workload][1:])
        assert "change of accuracy, points" in drawn(figure)
    assert "vlcache@ratio=0.5: +0.0 points [-61.1, +61.1] undecided" in drawn(verdicts["binding"])
    curves = figures(by_id(page, "r0-curves"))
    assert list(curves) == ["vlcache", "vlcache (1)"]
    assert "vlcache@ratio=0: 0.0 % computed, 75.0 % right [34, 95]" in drawn(curves["vlcache"])
    assert "vision work computed, %" in drawn(curves["vlcache"])
    pareto = figures(by_id(page, "r0-pareto"))
    assert list(pareto) == ["binding", "video"]
    assert all(f"{runner}: " in drawn(figure) for figure in pareto.values() for runner in RUNNERS)
    front = [
        "1. vlcache@ratio=0: 75.0 %, 8.00 times as fast, 0.0 % computed",
        "2. vlcache@ratio=0.5: 100.0 %, 4.00 times as fast, 50.0 % computed",
    ]
    assert texts(pareto["binding"].findall(".//li")) == front


def warm(run: Run, workload: str, runner: str, warmth: Warmth = Warmth.WARM) -> Iterator[Timing]:
    for record in run.records:
        if (record.workload, record.runner, record.warmth) == (workload, runner, warmth) and record.timing is not None:
            yield record.timing


def test_quantiles_of_the_times_are_those_of_the_records(run: Run, page: Element) -> None:
    found = tables(by_id(page, "r0-times"))
    assert list(found) == [
        "binding, quantiles",
        "video, quantiles",
        "binding, parts of the time",
        "video, parts of the time",
    ]
    for workload in run.workloads:
        table = found[f"{workload}, quantiles"]
        assert head_of(table) == ["runner", "requests", *(f"p{rank}, ms" for rank in (5, 25, 50, 75, 95, 99))]
        expected = [
            [runner, warmth.value, *(f"{value:.1f}" for value in np.percentile(times, (5, 25, 50, 75, 95, 99)))]
            for warmth in (Warmth.WARM, Warmth.COLD)
            for runner in BEST[workload]
            if (times := [timing.ttft_ms for timing in warm(run, workload, runner, warmth)])
        ]
        assert lines_of(table) == expected


def test_the_parts_of_the_time_are_means_of_the_records_and_are_explained(run: Run, page: Element) -> None:
    section = by_id(page, "r0-times")
    for workload in run.workloads:
        table = tables(section)[f"{workload}, parts of the time"]
        assert head_of(table) == ["runner", *(f"{part}, ms" for part in PARTS), "sum, ms"]
        for line, runner in zip(lines_of(table), BEST[workload], strict=True):
            timings = list(warm(run, workload, runner))
            means = [float(np.mean([getattr(timing, f"{part}_ms") for timing in timings])) for part in PARTS]
            assert line == [runner, *(f"{mean:.2f}" for mean in means), f"{sum(means):.2f}"]
            assert line[-1] == f"{np.mean([timing.ttft_ms for timing in timings]):.2f}"
    key = section.find("p[@class='key']")
    assert key is not None
    assert [text_of(entry).partition(" ")[0] for entry in key] == list(PARTS)
    assert all(entry.find("span[@class='muted']") is not None for entry in key)
    assert [swatch.get("fill") for swatch in key.iter("rect")] == [f"var(--part-{part})" for part in PARTS]
    drawings = figures(section)
    assert len(drawings) == 6
    assert list(drawings)[:2] == ["binding, warm requests", "binding, cold requests"]
    assert "prefix-cache, encode: 10.25 ms of 41.00 ms" in drawn(drawings["binding, warm requests (4)"])
    assert "prefix-cache: median 41.0 ms, p95 45.5 ms, p99 45.9 ms" in drawn(drawings["binding, warm requests"])


NEW_PART = """
import dataclasses, json, sys
from pathlib import Path
import runners.records as records

declared = [(entry.name, entry.type, entry) for entry in dataclasses.fields(records.Timing)]
verify = dataclasses.field(default=0.0, metadata=records.ttft_part("checking drafts"))
records.Timing = dataclasses.make_dataclass(
    "Timing",
    [*declared, ("verify_ms", float, verify)],
    bases=(records.Timing,),
    namespace={"__module__": records.__name__},  # where the names in its annotations are looked up
    frozen=True,
)
run = Path(sys.argv[1])
lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
for line in lines:
    if line["timing"]:
        line["timing"]["verify_ms"] = 7.0
(run / "records.jsonl").write_text("".join(json.dumps(line) + chr(10) for line in lines))

from reports.forms.form import ReportOptions
from reports.report_file import write
from reports.runs import read_runs

sys.stdout.buffer.write(write(read_runs([run], 0.02, 0.05), "html", ReportOptions()))
"""


def test_a_new_part_of_the_time_gets_a_place_a_label_and_a_colour(save_run: Any) -> None:
    """Adding it to ``Timing`` is all: its column, its line in the key, its colour for both screens."""
    made = subprocess.run([sys.executable, "-c", NEW_PART, str(save_run())], capture_output=True, check=True)
    page = tree(made.stdout.decode())
    section = by_id(page, "r0-times")
    table = tables(section)["binding, parts of the time"]
    assert head_of(table) == ["runner", *(f"{part}, ms" for part in (*PARTS, "verify")), "sum, ms"]
    assert lines_of(table)[0][-2:] == ["7.00", "89.00"]
    key = section.find("p[@class='key']")
    assert key is not None
    assert text_of(key[-1]) == "verify checking drafts"
    assert [swatch.get("fill") for swatch in key[-1].iter("rect")] == ["var(--part-verify)"]
    assert text_of(page.find(".//style")).count("--part-verify:#") == 3
    assert "full, verify: 7.00 ms of 89.00 ms" in drawn(figures(section)["binding, warm requests (4)"])


def test_hits_are_those_of_the_records(page: Element) -> None:
    section = by_id(page, "r0-hits")
    assert list(tables(section)) == ["binding, hits", "video, hits"]
    for workload, table in zip(BEST, tables(section).values(), strict=True):
        assert head_of(table) == ["runners", "about request", "sent before, %", "K, V found, %", "encoder output, %"]
        full, prefix, vlcache = BEST[workload]  # the first two of eight requests were never sent before
        assert lines_of(table) == [
            [full, "2", "50", "0", "0"],
            [full, "6", "100", "0", "0"],
            [prefix, "2", "50", "0", "50"],
            [prefix, "6", "100", "0", "100"],
            [vlcache, "2", "50", "50", "50"],
            [vlcache, "6", "100", "100", "100"],
        ]
    assert len(figures(section)) == 6
    assert "prefix-cache: at the end 0 % of keys and values and 100 %" in drawn(figures(section)["prefix-cache"])


def test_the_ledger_counts_what_changed_and_cards_tell_it(page: Element) -> None:
    section = by_id(page, "r0-flips")
    (ledger,) = section.findall("details[@class='numbers']//table")
    assert text_of(ledger.find("caption")) == "changed answers by runner"
    assert head_of(ledger)[:4] == ["workload", "runner", "correct->wrong", "wrong->correct"]
    assert lines_of(ledger) == [
        ["binding", "vlcache@ratio=0", "2", "0", "0", "0", "0", "2"],
        ["video", "vlcache@ratio=0.5", "1", "0", "0", "0", "0", "1"],
    ]
    cards = section.findall("details[@class='card']")
    assert [text_of(card.find("summary")) for card in cards] == [
        "binding q3 Is 3 in the image? 1 correct → wrong",
        "binding q5 Is 5 in the image? It is 1 correct → wrong",
        "video q6 Is 6 in the video? 1 correct → wrong",
        "video q7 Is 7 in the video? 1 no answer",
    ]
    answers = [lines_of(card.findall(".//table")[0]) for card in cards]
    assert answers == [
        [["vlcache@ratio=0", "correct → wrong", "no", "0", "1"]],
        [["vlcache@ratio=0", "correct → wrong", "no", "0", "1"]],
        [["vlcache@ratio=0.5", "correct → wrong", "no", "0", "1"]],
        [["prefix-cache", "no answer", "out-of-memory: no room", "0", "-"]],
    ]
    options = {select.get("data-by"): texts(select)[1:] for select in section.iter("select")}
    assert options == {
        "workload": ["binding", "video"],
        "runner": ["vlcache@ratio=0", "vlcache@ratio=0.5", "prefix-cache"],
        "kind": ["correct → wrong", "no answer"],
    }


def test_the_environment_is_that_of_the_manifest(run: Run, page: Element) -> None:
    section = by_id(page, "r0-environment")
    facts = section.find("dl")
    assert facts is not None
    assert {text_of(fact.find("dt")): text_of(fact.find("dd")) for fact in facts} == {
        "Model": "builtin, float32",
        "Device": "cpu, a machine",
        "Threads": "1",
        "Measured": "2026-01-02T03:04:05+00:00",
        "Seed": "7",
        "Reference": "full",
        "Machine": "a platform",
        "Processors": "2",
        "Python": "3.11.0",
    }
    found = tables(section)
    lossless = {"full": "yes", "prefix-cache": "yes"}
    assert lines_of(found["Runners"]) == [
        [runner, runner.partition("@")[0], lossless.get(runner, ""), "donor=previous"] for runner in RUNNERS
    ]
    assert lines_of(found["Libraries and requests"]) == [
        ["vlcache", "0.1.0"],
        ["torch", "2.13.0"],
        ["requests of binding", "b" * 64],
        ["requests of video", "c" * 64],
    ]
    manifest = section.find(".//pre")
    assert manifest is not None
    assert json.loads("".join(manifest.itertext())) == json.loads((run.path / "manifest.json").read_text())


def test_two_runs_are_compared_first_and_then_told_one_by_one(both: Element) -> None:
    outer = both.findall("./body/main/section")
    headings = [text_of(section.find("h2")) for section in outer]
    assert headings == ["The answer, by run", "Comparison with first", "first", "second"]
    links = both.findall(".//nav//a")
    assert {text_of(link): link.get("href") for link in links} == {
        "Comparison": "#comparison",
        "first": "#r0",
        "second": "#r1",
    }
    for place, section in enumerate(outer[2:]):
        inner = [found.get("id", "") for found in section.findall("section")]
        assert inner == [f"r{place}-{name}" for name in SECTIONS]
        assert [text_of(found.find("h3")) for found in section.findall("section")] == list(SECTIONS.values())
    cards = outer[0].findall(".//article")
    assert [text_of(card.find("h3")) for card in cards] == ["first", "second"]


def test_the_comparison_shows_every_change_and_what_makes_it_unfair(two_runs: list[Run], both: Element) -> None:
    found = tables(by_id(both, "comparison"))
    differs, *rest = found.items()
    assert differs[0] == "What differs"
    assert lines_of(differs[1]) == [
        ["second", "model", f"fingerprint was {'f' * 24} and is {'e' * 24}"],
        ["second", "libraries", "torch was 2.13.0 and is 2.14.0"],
    ]
    columns = [column for name in COMPARED for column in COLUMNS if column.name == name]
    compared = compare(two_runs)
    for caption, table in rest:
        workload, _, about = caption.partition(": ")
        assert about == "each run, and in brackets its difference to first"
        assert head_of(table) == ["runner", "run", "accuracy %", "speed-up warm", "KV hits %"]
        expected: Lines = []
        for change in compared.changes:
            if change.workload == workload:
                told = []
                for column in columns:
                    value, less = change.values[column.name], change.changes[column.name]
                    spec = column.spec.lstrip("+")
                    assert value is not None
                    text = format(value * column.scale, spec)
                    told.append(text if less is None else f"{text} ({less * column.scale:+{spec}})")
                first = [change.runner] if change.run == "first" else []
                expected.append([*first, change.run, *told])
        assert lines_of(table) == expected
    assert list(found)[1:] == [
        f"{workload}: each run, and in brackets its difference to first" for workload in ("binding", "video")
    ]
    better = lines_of(rest[0][1])[4]
    assert better == ["second", "87.5 (+12.5)", "8.00 (+0.00)", "75 (+0)"]


def test_a_reader_that_misses_an_end_tag_says_so() -> None:
    with pytest.raises(AssertionError):
        tree("<html><body><p>x</body></html>")


def test_names_in_texts_are_not_read_as_elements(save_run: Any) -> None:
    def named(record: Record) -> Record:
        return Record.from_json(record.to_json() | {"gold": ["<b>yes</b>"]})

    (run,) = read_runs([save_run("marked", each=named)], 0.02, 0.05)
    page = tree(write([run], "html", ReportOptions()).decode())
    quoted = [text_of(found) for found in by_id(page, "r0-flips").iter("q")]
    assert "<b>yes</b>" in quoted
    assert not list(page.iter("b"))
