"""One document of an lm-eval task: its prompt with pictures, its target, and its scores of a reply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from workloads.datasets.media import MediaFiles
from workloads.datasets.row_files import reason
from workloads.datasets.rows import Window
from workloads.errors import UsageError
from workloads.lm_eval.files import TaskFile, generation
from workloads.media.packing import pack
from workloads.media.pictures import decode_as_stored
from workloads.records import Media
from workloads.scoring.official import random_state_kept

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

PLACEHOLDER = "<image>"  # where lm-eval's hf-multimodal puts a picture


@dataclass(frozen=True)
class Document:
    """A document of a task, in lm-eval's words: what is asked about one row of its data.

    Attributes:
        task: lm-eval's own, with a window of rows as its data set.
        index: of the document in it.
        id: its own, else the number of its row.
        metric: the first of the task's scores that lies between 0 and 1.
    """

    task: ConfigurableTask
    index: int
    id: str
    metric: str | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What the row says, pictures as the files that they are."""
        fields: Mapping[str, Any] = self.task.task_docs[self.index]
        return fields

    @property
    def gold(self) -> tuple[str, ...]:
        """The target, in words."""
        fields = self.fields
        target = self.task.doc_to_target(fields)
        if isinstance(target, int) and self.task.config.doc_to_choice is not None:
            target = self.task.doc_to_choice(fields)[target]
        return tuple(map(str, target)) or ("",) if isinstance(target, list | tuple) else (str(target),)

    def content(self, files: MediaFiles) -> tuple[str | Media, ...]:
        """The task's prompt, each picture in the place where lm-eval's hf-multimodal puts it."""
        fields = decoded(self.fields, self.task.task_docs.features, files)
        images = self.task.doc_to_image(fields)
        pictures = [picture for picture in (images if isinstance(images, list) else [images]) if picture is not None]
        media = [_media(picture, f"{self.id}-{number}", files) for number, picture in enumerate(pictures)]
        return placed(self.task.fewshot_context(fields, 0), media)

    def score(self, reply: str) -> dict[str, Any]:
        """What the task makes of a reply: its metrics by name."""
        from lm_eval.api.instance import Instance
        from lm_eval.models.utils import postprocess_generated_text

        fields, until = self.fields, generation(self.task.config.generation_kwargs)["until"]
        request = Instance("generate_until", fields, ("", {}), 0)
        request.resps = [postprocess_generated_text(reply, until, None)]
        (first, *_) = self.task._filters
        first.apply([request])
        scores: dict[str, Any] = self.task.process_results(fields, [request.filtered_resps[first.name]])
        return scores


def documents_of(file: TaskFile, window: Window) -> Iterator[Document]:
    """What lm-eval's own task asks about the rows of a window."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    class Task(ConfigurableTask):  # type: ignore[misc]  # lm-eval is not typed
        """The task, its rows given to it."""

        def download(self, *args: Any, **kwargs: Any) -> None:
            """Nothing is left to load."""
            self.dataset = {file.split: Dataset.from_list([row.fields for row in window.rows], window.features)}

    with random_state_kept():  # modules of tasks seed it when they are loaded
        config = {**load_yaml(file.file), **file.changes, "training_split": None, "fewshot_split": None}
        task = Task(config={key: value for key, value in config.items() if key not in ("tag", "group")})
    documents = task.task_docs
    ids = [str(name) for name in documents["id"]] if "id" in documents.column_names else []
    if len(set(ids)) < len(ids) or not ids:
        ids = [row.number for row in window.rows]
        if len(documents) != len(ids):  # the task leaves some out, or makes several of one
            ids = [f"{ids[0]}-{index}" for index in range(len(documents))]
    if not ids:
        return
    with random_state_kept():
        scores = (first := Document(task, 0, ids[0])).score(first.gold[0])
    metric = next((name for name, value in scores.items() if is_score(value)), None)
    yield from (Document(task, index, name, metric) for index, name in enumerate(ids))


def decoded(value: Any, feature: Any, files: MediaFiles) -> Any:
    """A field with its pictures as lm-eval's tasks expect them, as `datasets` would decode them.

    That would read whatever a path leads to, on this machine or the network, and any format.
    """
    from datasets import Image as Picture

    if isinstance(value, Mapping) and isinstance(feature, Mapping):
        return {name: decoded(inner, feature[name], files) for name, inner in value.items()}
    if isinstance(value, list):
        return [decoded(inner, getattr(feature, "feature", None), files) for inner in value]
    if value is None or not isinstance(feature, Picture):
        return value
    picture = decode_as_stored(files.encoded(value, "image"))
    return picture.convert(feature.mode) if feature.mode else picture


def placed(text: str, media: Sequence[Media]) -> tuple[str | Media, ...]:
    """``media`` in the places that ``text`` keeps for them, or before it if it keeps none."""
    texts = text.split(PLACEHOLDER)
    if len(texts) == 1:
        return (*media, text)
    if len(texts) != len(media) + 1:
        raise ValueError(f"there are places for {len(texts) - 1} pictures and {len(media)} of them")
    parts: list[str | Media] = [texts[0]]
    for medium, text_after in zip(media, texts[1:], strict=True):
        parts += [medium, text_after]
    return tuple(part for part in parts if part != "")


def _media(picture: Any, name: str, files: MediaFiles) -> Media:
    """A picture as lm-eval has it, losslessly."""
    (medium,) = files.media(pack(picture) if isinstance(picture, Image.Image) else picture, "image", name)
    return medium


def is_score(value: Any) -> bool:
    """Whether it is a number from 0 to 1."""
    return isinstance(value, int | float) and 0 <= value <= 1


@contextmanager
def speaking_of(what: str) -> Iterator[None]:
    """Say what it is that a task's own functions cannot do: they raise anything for rows that they do not expect."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__} "
        raise UsageError(f"{what}: {kind}{reason(error)}") from error
