"""Run by test_triton.py: our kernels compile for GPUs, into the instructions that make them fast."""

from __future__ import annotations

from typing import Any

import pytest
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from runners.engine.attention.triton_attention import ADDED_ROWS, Tiles
from runners.engine.attention.triton_kernel import add_up_kernel, attend_kernel
from runners.engine.kv.triton_placing import COLUMNS, TOKENS, WIDE, place_kernel

SHARED_MEMORY = 99 * 1024  # bytes of a program: the least that a GPU of compute capability 8 has
STRIDES = ("q_head", "q_query", "k_head", "k_token", "v_head", "v_token", "k_layer", "v_layer")


def compiled(kernel: Any, gpu: int, pointers: dict[str, str], warps: int = 4, **constants: Any) -> Any:
    """A kernel for a compute capability (times ten), specialised as a launch specialises it.

    That is: pointers and strides are multiples of 16, other numbers just 32-bit integers.
    """
    names = kernel.arg_names
    types = {name: pointers.get(name, "i32") for name in names} | dict.fromkeys(constants, "constexpr")
    wide = [name for name in names if name not in constants and (name in pointers or name in STRIDES)]
    source = ASTSource(
        fn=kernel,
        signature=types,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in wide if types[name] != "fp32"},
    )
    return triton.compile(source, target=GPUTarget("cuda", gpu, 32), options={"num_warps": warps, "num_stages": 2})


@pytest.mark.parametrize("gpu", [80, 90])
@pytest.mark.parametrize(("kind", "head_dim", "queries"), [("bf16", 128, 200), ("bf16", 256, 1), ("fp32", 128, 9)])
def test_attention_uses_tensor_cores_and_wide_loads(gpu: int, kind: str, head_dim: int, queries: int) -> None:
    half = kind == "bf16"
    tiles = Tiles.of(7 * queries, 4, 10_000, head_dim, half, processors=132)
    assert tiles.splits > 1
    pointers = {"q": f"*{kind}", "k": f"*{kind}", "v": f"*{kind}", "at": "*i64", "out": "*fp32", "weights": "*fp32"}
    kernel = compiled(
        attend_kernel,
        gpu,
        {**pointers, "scale": "fp32"},
        tiles.warps,
        GROUPS=7,
        HEAD_DIM=head_dim,
        ROWS=tiles.rows,
        KEYS=tiles.keys,
        DIMS=tiles.dims,
        SPLIT=True,
        PRECISION="ieee",
        q_dim=1,
        k_dim=1,
        v_dim=1,
    )
    assert kernel.metadata.shared <= SHARED_MEMORY
    assert "cp.async.cg" in kernel.asm["ptx"]
    assert ("mma" in kernel.asm["ptx"]) == half


def test_adding_up_compiles() -> None:
    pointers = {"parts": "*fp32", "weights": "*fp32", "out": "*bf16"}
    kernel = compiled(add_up_kernel, 90, pointers, HEAD_DIM=128, ROWS=ADDED_ROWS, DIMS=128)
    assert "ld.global.v4" in kernel.asm["ptx"]


@pytest.mark.parametrize("kind", ["bf16", "fp32"])
def test_placing_loads_and_stores_sixteen_bytes_at_a_time(kind: str) -> None:
    pointers = {"table": "*i64", "k": f"*{kind}", "v": f"*{kind}"}
    constants = {"HALF": 64, "DIMS": 64, "TOKENS": TOKENS, "COLUMNS": COLUMNS, "UNIT": WIDE}
    kernel = compiled(place_kernel, 90, pointers, **constants)
    wide, narrow = (kernel.asm["ptx"].count(load) for load in ("ld.global.v4.b32", "ld.global.b16"))
    assert wide > narrow == 0
    assert "st.global.v4.b32" in kernel.asm["ptx"]
