"""What servers are asked, what their counters say, which states are believed, and how first tokens are compared."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.endpoint.chat import chat_body, data_uri
from runners.endpoint.counters import Hits, read_hits
from runners.endpoint.first_tokens import Alternative, FirstTokens, TokenLogprob, divergence_of_returned
from runners.endpoint.options import Endpoint, State
from runners.endpoint.state import TEMPLATE_TOKENS, fault
from runners.endpoint.stream import PromptDetails, Usage
from workloads.records import Media, Message

PNG = Media("image", b"\x89PNG\r\n\x1a\nrest", "page")
ASKED = (Message("system", ("Be brief.",)), Message("user", (PNG, "What is this?")))


def test_a_request_is_an_openai_chat_with_media_as_data_uris() -> None:
    messages = (*ASKED, Message("assistant", ("A page.",)), Message("user", ("And", " this?")))
    document = json.loads(chat_body(messages, "tiny", 7, {"seed": 0}))
    encoded = base64.b64encode(PNG.data).decode()
    assert document == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}},
                    {"type": "text", "text": "What is this?"},
                ],
            },
            {"role": "assistant", "content": "A page."},
            {"role": "user", "content": "And this?"},
        ],
        "max_tokens": 7,
        "temperature": 0,
        "stream": True,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"", "application/octet-stream"),
    ],
)
def test_media_are_typed_by_their_first_bytes(data: bytes, kind: str) -> None:
    assert data_uri(Media("image", data, "x")).startswith(f"data:{kind};base64,")


def test_clips_are_sent_as_videos() -> None:
    document = json.loads(chat_body([Message("user", (Media("video", b"GIF89a", "clip"),))], "m", 1, {}))
    (part,) = document["messages"][0]["content"]
    assert part["type"] == "video_url"
    assert part["video_url"]["url"].startswith("data:image/gif;base64,")


VLLM = """# HELP vllm:mm_cache_hits_total x
# TYPE vllm:mm_cache_hits_total counter
vllm:mm_cache_queries_total{engine="0",model_name="a b{\\"c\\"}"} 147.0
vllm:mm_cache_hits_total{engine="0",model_name="tiny"} 100.0
vllm:mm_cache_hits_total{engine="1",model_name="tiny"} 33.0
vllm:prefix_cache_queries_total{engine="0"} 9.0
vllm:request_success_total{engine="0",finished_reason="stop"} 3.0
"""


def test_counters_are_summed_over_labels_and_kinds_that_are_not_counted_are_none() -> None:
    assert read_hits(VLLM) == Hits(prefix_tokens=0, preprocessing_hits=133)
    assert read_hits(VLLM.replace("_total", "")) == Hits(prefix_tokens=0, preprocessing_hits=133)
    assert read_hits("") == Hits()
    sglang = 'sglang:cached_tokens_total{cache_source="device"} 4.0\nsglang:prompt_tokens_total 9.0\n'
    assert read_hits(sglang) == Hits(prefix_tokens=4)


def test_hits_between_two_readings_are_unknown_where_a_server_started_anew() -> None:
    before, after = Hits(10, 5, None, 3), Hits(12, 4, 7, 3)
    assert Hits.between(before, after) == Hits(2, None, None, 0)
    assert after.known == ["prefix_tokens", "preprocessing_hits", "encoder_hits", "kv_tokens"]


@given(
    text=st.text(alphabet=st.sampled_from('vllm:mm_cache_hits_total{}="\\ 0123456789.eE+-NaNinf\n#\t'), max_size=200)
)
def test_any_text_is_read_as_counters_or_refused(text: str) -> None:
    try:
        hits = read_hits(text)
    except ValueError:
        return
    assert all(count is None or count >= 0 for count in (hits.prefix_tokens, hits.preprocessing_hits))


def told(prompt: int | None = None, cached: int | None = None, media: int | None = None) -> Usage:
    return Usage(prompt, 1, PromptDetails(cached, None if media is None else {"image": media}))


NOT_CHECKED, RIGHT = (False, None), (True, None)
STATES: list[tuple[State, Usage, Hits, Any]] = [
    ("stream", told(100, 90, 80), Hits(90, 1), NOT_CHECKED),
    ("cold", told(), Hits(), NOT_CHECKED),
    ("cold", told(100, 0, 80), Hits(), RIGHT),
    ("cold", told(100, 20, 80), Hits(20, 0), RIGHT),
    ("cold", told(100, 21, 80), Hits(), "21 tokens of the prompt were cached"),
    ("cold", told(100, None, 80), Hits(64), "64 tokens of the prompt were cached"),
    ("cold", told(100, 0, 80), Hits(0, 1), "caches held media"),
    ("cold", told(), Hits(None, 0, 1), "caches held media"),
    ("cold", told(), Hits(0, 0, 0, 9), RIGHT),
    ("cold", told(), Hits(0, 0, 0, 999), "caches held media"),
    ("cold", told(), Hits(TEMPLATE_TOKENS + 9), RIGHT),
    ("cold", told(), Hits(TEMPLATE_TOKENS + 10), "tokens of the prompt were cached"),
    ("same-image", told(100, 0, 80), Hits(), NOT_CHECKED),
    ("same-image", told(100, 0, 80), Hits(0, 1), RIGHT),
    ("same-image", told(100, 0, 80), Hits(0, 0, 1), RIGHT),
    ("same-image", told(100, 0, 80), Hits(0, 0, 0, 50), RIGHT),
    ("same-image", told(100, 0, 80), Hits(0, 0), "held 0 of its 1 media"),
    ("same-image", told(100, 90, 80), Hits(90, 1), "came with an equal prefix"),
    ("same-image", told(100, 90, 80), Hits(0, 0, None, 90), RIGHT),
    ("repeat", told(100), Hits(), NOT_CHECKED),
    ("repeat", told(100, 96, 80), Hits(96, 1), RIGHT),
    ("repeat", told(100, 60), Hits(), RIGHT),
    ("repeat", told(100, 0, 80), Hits(0, 1), "no more than 0 tokens of the prompt were cached"),
]


@pytest.mark.parametrize(("state", "usage", "hits", "expected"), STATES)
def test_a_state_is_believed_only_where_the_server_bears_it_out(
    state: State, usage: Usage, hits: Hits, expected: Any
) -> None:
    checked, wrong = fault(state, ASKED, usage, hits)
    if isinstance(expected, str):
        assert checked
        assert expected in str(wrong)
    else:
        assert (checked, wrong) == expected


def test_a_medium_that_a_prompt_shows_twice_is_found_once_in_the_coldest_cache() -> None:
    twice = [*ASKED, Message("assistant", ("A page.",)), Message("user", (PNG, "And this?"))]
    assert fault("cold", twice, told(), Hits(None, 1)) == RIGHT
    assert fault("cold", twice, told(), Hits(None, 2))[1] is not None


def test_a_request_without_media_has_no_state() -> None:
    assert fault("cold", [Message("user", ("Hi",))], told(9, 8), Hits(8, 0)) == NOT_CHECKED


SHARES = st.lists(st.floats(0.001, 1.0), min_size=2, max_size=8)


def first_tokens(weights: list[float], shown: int) -> FirstTokens:
    total = sum(weights)
    likeliest = sorted(range(len(weights)), key=lambda index: -weights[index])[:shown]
    listed = tuple(Alternative(str(index), math.log(weights[index] / total)) for index in likeliest)
    return FirstTokens.of(TokenLogprob(listed[0].token, listed[0].logprob, None, listed))


@given(data=st.data(), p=SHARES)
def test_the_divergence_of_what_is_told_is_a_lower_bound_and_exact_where_all_is_told(
    data: st.DataObject, p: list[float]
) -> None:
    q = data.draw(st.lists(st.floats(0.001, 1.0), min_size=len(p), max_size=len(p)))
    whole = sum(one / sum(p) * math.log((one / sum(p)) / (two / sum(q))) for one, two in zip(p, q, strict=True))
    exact, unseen = divergence_of_returned(first_tokens(p, len(p)), first_tokens(q, len(q)))
    assert exact == pytest.approx(whole, abs=1e-6)
    assert unseen == pytest.approx(0, abs=1e-9)
    shown = data.draw(st.integers(1, len(p)))
    bound, unseen = divergence_of_returned(first_tokens(p, shown), first_tokens(q, shown))
    assert -1e-9 <= bound <= whole + 1e-6
    assert 0 <= unseen <= 1


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"url": "localhost:8000"}, "url must be like http://127.0.0.1:8000/v1, not 'localhost:8000'"),
        ({"url": "file:///etc/passwd"}, "url must be like"),
        ({"url": "http:///v1"}, "url must be like"),
        ({"url": "http://h/v1?key=1"}, "url must be like"),
        ({"url": "http://me:secret@h/v1"}, "url must not hold a name or password"),
        ({"url": "http://h:0/v1"}, "url has port 0"),
        ({"url": "http://h:99999/v1"}, "Port out of range"),
        ({"url": "http://h\u0430/v1"}, "url must be of printable ASCII"),
        ({"url": "http://h/v1", "metrics": "http://a:b@h/metrics"}, "metrics must not hold a name or password"),
        ({"url": "http://h/v1", "state": "cold", "reset": False}, "state=cold is made by emptying the server's caches"),
        ({"url": "http://h/v1", "logprobs": -1}, "logprobs must be between 0 and 1000"),
    ],
)
def test_options_that_cannot_be_are_told(options: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake.replace("?", r"\?")):
        Endpoint(**options)


def test_counters_and_resets_are_above_the_api() -> None:
    assert (Endpoint("http://h:1/v1/").api, Endpoint("http://h:1/v1/").root) == ("http://h:1/v1", "http://h:1")
    assert Endpoint("https://h/llm").root == "https://h/llm"
    assert Endpoint("http://h:1/v1").counters == "http://h:1/metrics"
    assert Endpoint("http://h:1/v1", metrics="http://h:2/metrics").counters == "http://h:2/metrics"
