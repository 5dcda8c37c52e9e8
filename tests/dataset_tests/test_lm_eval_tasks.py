"""Tasks of lm-eval as workloads: its own prompts, pictures and scores."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lm_eval.tasks
import pyarrow.parquet
import pytest
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from PIL import Image

from workloads.base import StreamOptions
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.lm_eval import task as lm_eval_task
from workloads.lm_eval.document import placed
from workloads.lm_eval.files import TaskFile, require_askable
from workloads.lm_eval.task import open_tasks
from workloads.records import Media, Turn
from workloads.scoring import judge

Write = Callable[..., Path]


@pytest.fixture
def charts(write_parquet: Write) -> Path:
    """ChartQA's layout, three questions about two charts."""
    rows = [
        {"image": Image.new("RGB", (20, 20), (number // 2, 0, 0)), "query": f"Bar {number}?", "label": [f"{number}7"]}
        for number in range(3)
    ]
    return write_parquet("data/test-00000-of-00001.parquet", rows, pictures=["image"]).parents[1]


def turns(workload: Any, samples: int = 99) -> list[Turn]:
    stream = workload.conversations(StreamOptions(samples, 0, 0.5, popularity="even"))
    return [turn for conversation in stream for turn in conversation.turns]


def test_a_task_asks_and_scores_as_lm_eval_does(charts: Path) -> None:
    workload = open_tasks("lm-eval:chartqa", Sources(charts, recur="none"))
    assert workload.name == "lm-eval:chartqa"
    assert workload.defaults.max_new_tokens == 512
    asked = sorted(turns(workload), key=lambda turn: turn.id)
    assert [turn.id for turn in asked] == ["chartqa-0", "chartqa-1", "chartqa-2"]
    assert [turn.answer.accepted for turn in asked] == [("07",), ("17",), ("27",)]
    assert {turn.answer.metric for turn in asked} == {"lm-eval:chartqa:exact_match"}
    medium, prompt = asked[1].content
    assert isinstance(medium, Media)
    assert isinstance(prompt, str)
    assert prompt.startswith("Bar 1?\nAnalyze the image")
    assert prompt.endswith("Final Answer: <answer>.\n")
    for reply, score in (("Well.\nFinal Answer: 17", 1), ("Final Answer: 18", 0), ("17", 0)):
        judged = judge(reply, asked[1].answer)
        assert (judged.score, judged.parsed, judged.official) == (score, True, score)


def test_charts_of_several_questions_recur(charts: Path) -> None:
    asked = turns(open_tasks("lm-eval:chartqa", Sources(charts, recur="questions")), 4)
    assert len({turn.media[-1].data for turn in asked[:2]}) == 2
    assert len({turn.media[-1].data for turn in asked}) == 2


def test_a_reply_ends_where_the_task_says(mmmu: Path) -> None:
    workload = open_tasks("lm-eval:mmmu_val", Sources(mmmu, ("mmmu_val_art",), "none"))
    asked = {turn.id: turn for turn in turns(workload)}
    answer = asked["mmmu_val_art-validation_Art_1"].answer
    assert answer.metric == "lm-eval:mmmu_val_art:acc"
    assert judge("B<|endoftext|> or rather (A)", answer).score == 1
    guessed = judge("hm", answer)
    assert (guessed.score, guessed.parsed) == (0, False)


def test_a_group_stands_for_its_tasks() -> None:
    assert len(open_tasks("lm-eval:mmmu_val", Sources()).tasks) == 30
    chosen = open_tasks("lm-eval:mmmu_val_business", Sources(subjects=("mmmu_val_finance", "mmmu_val_manage")))
    assert list(chosen.tasks) == ["mmmu_val_finance", "mmmu_val_manage"]


@pytest.mark.parametrize(
    ("task", "reason"), [("hellaswag", "compares likelihoods"), ("gsm8k_cot_zeroshot", "shows no pictures")]
)
def test_tasks_of_other_kinds_are_refused_in_one_line(task: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_tasks(f"lm-eval:{task}", Sources())
    assert str(caught.value) == (
        f"lm-eval's task {task} {reason}: only questions about pictures, answered in words, can be asked"
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"class": object}, "is written in Python"),
        ({"output_type": "multiple_choice"}, "compares likelihoods"),
        ({"doc_to_image": None}, "shows no pictures"),
        ({"doc_to_audio": ["sound"]}, "plays sounds"),
        ({"num_fewshot": 5}, "gives examples"),
        ({"unsafe_code": True}, "runs what is answered"),
        ({"gen_prefix": "So:"}, "begins the answer"),
        ({"custom_dataset": "utils.load"}, "makes its data itself"),
        ({"test_split": None}, "has no split to test on"),
    ],
)
def test_whatever_is_no_plain_question_about_pictures_is_refused(config: dict[str, Any], reason: str) -> None:
    askable = {"test_split": "test", "doc_to_image": ["image"], "output_type": "generate_until"}
    require_askable("mine", TaskFile(Path("mine.yaml"), askable, {}))
    for task in (TaskFile(Path("mine.yaml"), askable | config, {}), TaskFile(Path("mine.yaml"), askable, config)):
        with pytest.raises(UsageError, match=f"lm-eval's task mine {reason}: only questions"):
            require_askable("mine", task)


def test_data_that_are_loaded_in_another_way_take_a_local_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = {"test_split": "test", "doc_to_image": ["image"], "dataset_kwargs": {"data_files": "x", "revision": "r"}}
    found = {"mine": TaskFile(tmp_path / "mine.yaml", config, {})}
    monkeypatch.setattr(lm_eval_task, "find_tasks", lambda name: found)
    with pytest.raises(UsageError) as caught:
        open_tasks("lm-eval:mine", Sources())
    assert str(caught.value) == "lm-eval's task mine loads its data with data_files: give --dataset-path DIR"
    assert list(open_tasks("lm-eval:mine", Sources(tmp_path)).tasks) == ["mine"]
    found["other"] = TaskFile(tmp_path / "other.yaml", {**config, "dataset_path": "x/y"}, {})
    with pytest.raises(UsageError, match="--dataset-path cannot stand for None and x/y at once: name a single task"):
        open_tasks("lm-eval:mine", Sources(tmp_path))


def test_an_unknown_task_gets_a_suggestion_from_tasks_with_pictures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    class Spy(TaskManager):  # type: ignore[misc]
        def __init__(self, include_path: list[Path], **options: Any) -> None:
            read.extend(path.name for path in include_path)
            super().__init__(include_path=[str(path) for path in include_path if path.name == "chartqa"], **options)

    monkeypatch.setattr(lm_eval.tasks, "TaskManager", Spy)
    with pytest.raises(UsageError) as caught:
        open_tasks("lm-eval:charqta", Sources())
    assert str(caught.value) == "unknown multimodal task of lm-eval 'charqta': did you mean 'chartqa'?"
    assert {"chartqa", "mmmu"} <= set(read), "and not the hundreds of folders of other tasks"
    assert len(read) < 20


def test_a_picture_stands_where_the_prompt_keeps_its_place() -> None:
    first, second = (Media("image", bytes([number]), str(number)) for number in range(2))
    assert placed("a <image>b<image>", [first, second]) == ("a ", first, "b", second)
    assert placed("no place", [first, second]) == (first, second, "no place")
    assert placed("no picture", []) == ("no picture",)
    for text, media in (("<image>", []), ("<image><image>", [first])):
        with pytest.raises(ValueError, match=rf"places for {text.count('<')} pictures and {len(media)} of them"):
            placed(text, media)


def test_rows_that_a_task_does_not_expect_are_told(write_parquet: Write) -> None:
    rows = [{"image": Image.new("RGB", (20, 20)), "question": "Which?", "label": ["7"]}]
    charts = write_parquet("data/test-00000-of-00001.parquet", rows, pictures=["image"]).parents[1]
    with pytest.raises(UsageError) as caught:
        turns(open_tasks("lm-eval:chartqa", Sources(charts)))
    assert str(caught.value) == "lm-eval's task chartqa: UndefinedError 'query' is undefined"


def test_pictures_that_are_not_there_are_told(write_parquet: Write, charts: Path) -> None:
    rows = [{"image": None, "query": "Which?", "label": ["7"]}]
    write_parquet("data/test-00000-of-00001.parquet", rows, pictures=["image"])
    with pytest.raises(UsageError) as caught:
        turns(open_tasks("lm-eval:chartqa", Sources(charts)))
    assert str(caught.value) == "lm-eval's task chartqa, document 0: there are places for 1 pictures and 0 of them"


def chart(folder: Path, picture: Any, rows: int = 1, **more: str) -> Path:
    """A copy of ChartQA with this picture, as its files hold it, in every row."""
    from datasets import Features, List, Value
    from datasets import Image as Picture

    row = {"image": picture, "query": "Which?", "label": ["7"], **more}
    features = {"image": Picture(), "query": Value("string"), "label": List(Value("string"))}
    features |= {name: Value("string") for name in more}
    table = pyarrow.Table.from_pylist([row] * rows, Features(features).arrow_schema)
    (folder / "data").mkdir()
    pyarrow.parquet.write_table(table, folder / "data" / "test-00000-of-00001.parquet")
    return folder


def encoded(format: str, size: tuple[int, int] = (32, 16), **options: Any) -> bytes:
    with io.BytesIO() as file:
        Image.new("RGB", size, (1, 2, 3)).save(file, format, **options)
        return file.getvalue()


def decoded(turn: Turn) -> Image.Image:
    return Image.open(io.BytesIO(turn.media[0].data))


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/0.png", "{outside}/0.png", "../0.png"])
def test_a_row_leads_nowhere_out_of_the_data_set(tmp_path: Path, sealed: None, place: str) -> None:
    (tmp_path / "0.png").write_bytes(encoded("PNG"))
    (tmp_path / "here").mkdir()
    charts = chart(tmp_path / "here", {"bytes": None, "path": place.format(outside=tmp_path)})
    with pytest.raises(UsageError, match=r"lm-eval's task chartqa, document 0: '.*' cannot be read: "):
        turns(open_tasks("lm-eval:chartqa", Sources(charts)))


def test_a_picture_may_lie_beside_the_rows(tmp_path: Path) -> None:
    charts = chart(tmp_path, {"bytes": None, "path": "data/0.png"})
    (charts / "data/0.png").write_bytes(encoded("PNG"))
    (turn,) = turns(open_tasks("lm-eval:chartqa", Sources(charts, recur="none")))
    assert decoded(turn).getpixel((0, 0)) == (1, 2, 3)


def test_a_picture_is_turned_upright_as_for_lm_eval(tmp_path: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 6  # a quarter turn
    charts = chart(tmp_path, {"bytes": encoded("JPEG", exif=note), "path": None})
    (turn,) = turns(open_tasks("lm-eval:chartqa", Sources(charts, recur="none")))
    assert (decoded(turn).size, dict(decoded(turn).getexif())) == ((16, 32), {})


@pytest.mark.parametrize("format", ["EPS", "ICO"])
def test_no_other_format_is_tried_than_in_files_of_the_user(tmp_path: Path, format: str) -> None:
    charts = chart(tmp_path, {"bytes": encoded(format), "path": None})
    with pytest.raises(UsageError, match=r"document 0: is not a readable picture \(none of PNG, JPEG, "):
        turns(open_tasks("lm-eval:chartqa", Sources(charts)))


def test_documents_with_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_eval_task, "WINDOW", 1)
    charts = chart(tmp_path, {"bytes": encoded("PNG"), "path": None}, rows=3, id="same")
    asked = turns(open_tasks("lm-eval:chartqa", Sources(charts, recur="none")))
    assert [turn.id for turn in asked] == ["chartqa-same", "chartqa-same-1", "chartqa-same-2"]


def test_a_score_that_cannot_be_told_is_one_line(charts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = turns(open_tasks("lm-eval:chartqa", Sources(charts, recur="none")))[0]
    monkeypatch.setattr(ConfigurableTask, "process_results", lambda *arguments: dict[str, float]()["no such"])
    with pytest.raises(UsageError, match=r"^lm-eval:chartqa:exact_match, document \d: KeyError 'no such'$"):
        judge("7", turn.answer)


@pytest.mark.parametrize(
    ("told", "expected"),
    [({"max_new_tokens": 7}, 7), ({"max_gen_toks": 8, "until": None}, 8), ({"temperature": None}, 256), (None, 256)],
)
def test_the_longest_answer_goes_by_all_names_that_lm_eval_knows(told: Any, expected: int) -> None:
    assert TaskFile(Path("mine.yaml"), {"generation_kwargs": told}, {}).max_new_tokens == expected


def test_the_rows_are_those_that_lm_eval_would_ask_about(charts: Path) -> None:
    """Prompts and targets equal those of the stock task over the same file."""
    import datasets
    import lm_eval.tasks
    from lm_eval.tasks._yaml_loader import load_yaml

    file = Path(lm_eval.tasks.__file__).parent / "chartqa" / "chartqa.yaml"
    data = {"data_files": {"test": str(charts / "data" / "*.parquet")}}
    stock = ConfigurableTask(config={**load_yaml(file), "dataset_path": "parquet", "dataset_kwargs": data})
    assert isinstance(stock.eval_docs, datasets.Dataset)
    expected = {(stock.fewshot_context(doc, 0), stock.doc_to_target(doc)) for doc in stock.eval_docs}
    asked = turns(open_tasks("lm-eval:chartqa", Sources(charts, recur="none")))
    assert {(f"<image>{turn.content[-1]}", turn.answer.gold) for turn in asked} == expected
