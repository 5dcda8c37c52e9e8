"""Workloads by name; imported on look-up."""

from __future__ import annotations

from importlib import import_module

from workloads.base import Workload

WORKLOADS = {
    "image-chat": "workloads.image_chat:ImageChat",
    "doc-qa": "workloads.doc_qa:DocQA",
    "video": "workloads.video:Video",
    "binding": "workloads.binding:Binding",
}


def load_workload(name: str) -> Workload:
    """The workload called ``name``; KeyError when there is none."""
    module, attribute = WORKLOADS[name].split(":")
    workload: Workload = getattr(import_module(module), attribute)()
    return workload
