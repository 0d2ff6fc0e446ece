"""Rules for the stream against the recurrences that the papers write."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from shortcuts.streams import (
    AttentionResiduals,
    HyperConnections,
    MixedGPT,
    Rule,
    Scales,
    sinkhorn,
)
from shortcuts.transformers import GPT, Norm

DEPTH, BRANCHES, WIDTH = 3, 6, 8
TEXT = torch.tensor([[1, 5, 2, 2, 7], [0, 3, 9, 4, 1]])
RULES: dict[str, Callable[[], Rule]] = {
    "sum": lambda: Rule(BRANCHES),
    "scales": lambda: Scales(BRANCHES),
    "free": lambda: HyperConnections(BRANCHES),
    "constrained": lambda: HyperConnections(BRANCHES, constrained=True),
    "attention": lambda: AttentionResiduals(BRANCHES, WIDTH),
}


def gpt_of(norm: Norm = "pre", eps: float = 1e-5, **options: Any) -> GPT:
    torch.manual_seed(0)
    gpt = GPT(10, 5, width=WIDTH, heads=2, depth=DEPTH, norm=norm, **options)
    for part in gpt.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = eps
    return gpt.double()


def drawn(rule: Any) -> Any:
    """Draw the parameters of a rule anew, in float64."""
    torch.manual_seed(1)
    for parameter in rule.double().parameters():
        nn.init.normal_(parameter)
    return rule


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("norm", ["pre", "peri"])
def test_all_begin_as_the_shortcut(name: str, norm: Norm) -> None:
    """Logits and the gradients of the GPT, up to rounding."""
    eps = 0 if name == "attention" else 1e-5
    found = []
    for ruled in (False, True):
        gpt = gpt_of(norm, eps)
        model = MixedGPT(gpt, RULES[name]()).double() if ruled else gpt
        logits = model(TEXT)
        loss = cross_entropy(logits.flatten(0, 1), TEXT.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        grads = [parameter.grad for parameter in gpt.parameters()]
        found.append([logits, *grads])
    assert_close(found[0], found[1], rtol=1e-12, atol=1e-14)


def test_scales_as_a_loop() -> None:
    gpt, rule = gpt_of(), drawn(Scales(BRANCHES))
    h = start = gpt.embed(TEXT)
    for branch, scale, more in zip(
        gpt.branches(), rule.stream, rule.embedding, strict=True
    ):
        h = scale * h + more * start
        h = h + branch(h)
    assert_close(MixedGPT(gpt, rule)(TEXT), gpt.read(h))


@pytest.mark.parametrize("constrained", [False, True])
def test_hyper_connections_as_streams(constrained: bool) -> None:
    """X' = H X + w F(r X), with streams that are kept."""
    rule = drawn(
        HyperConnections(BRANCHES, streams=3, constrained=constrained)
    )
    gpt = gpt_of()
    streams = gpt.embed(TEXT).expand(3, -1, -1, -1)
    mixes = sinkhorn(rule.mix, 20) if constrained else rule.mix
    for branch, read, write, mix in zip(
        gpt.branches(), rule.read, rule.write, mixes, strict=True
    ):
        found = branch(torch.einsum("n,nbtw->btw", read, streams))
        mixed = torch.einsum("mn,nbtw->mbtw", mix, streams)
        streams = mixed + write[:, None, None, None] * found
    end = torch.einsum("n,nbtw->btw", rule.end, streams)
    assert_close(MixedGPT(gpt, rule)(TEXT), gpt.read(end))


def test_how_mixing_begins() -> None:
    rule = HyperConnections(BRANCHES, constrained=True, apart=5.0)
    mixes = rule.mixes()
    off = mixes[:, 0, 1]
    torch.testing.assert_close(off / mixes[:, 0, 0], off * 0 + torch.e**-5)
    assert HyperConnections(BRANCHES).read.argmax(1).tolist() == [
        *(0, 1, 2, 3, 0, 1)
    ]


def test_attention_residuals_as_a_loop() -> None:
    """Softmax of how well a query fits each output, normalised."""
    gpt, rule = gpt_of(), drawn(AttentionResiduals(BRANCHES, WIDTH))
    outputs, rows = [gpt.embed(TEXT)], []

    def read(query: Tensor) -> Tensor:
        keys = [v / v.square().mean(-1, keepdim=True).sqrt() for v in outputs]
        weights = torch.stack([key @ query for key in keys]).softmax(0)
        rows.append(weights.mean((1, 2)))
        return sum(
            (w[..., None] * v for w, v in zip(weights, outputs, strict=True)),
            torch.zeros(()),
        )

    for branch, query in zip(gpt.branches(), rule.query[:-1], strict=True):
        outputs.append(branch(read(query)))
    model = MixedGPT(gpt, rule)
    assert_close(model(TEXT), gpt.read(read(rule.query[-1])))
    matrix = model.matrix(TEXT)
    assert matrix.shape == (BRANCHES + 1, BRANCHES + 1)
    for row, weights in zip(matrix, rows, strict=True):
        assert_close(row[: len(weights)], weights)
        assert not row[len(weights) :].any()


def test_a_matrix_that_does_not_depend_on_the_text() -> None:
    rule = drawn(HyperConnections(BRANCHES))
    assert_close(MixedGPT(gpt_of(), rule).matrix(TEXT), rule.matrix())
    assert not rule.matrix().triu(1).any()


def test_sinkhorn_of_two_streams() -> None:
    """Two rows have a closed form: the odds of its corners stay."""
    a, b, c, d = torch.tensor([0.3, 2.0, 0.7, 1.1], dtype=torch.float64)
    found = sinkhorn(torch.stack([a, b, c, d]).log().reshape(2, 2), 200)
    share = (a * d).sqrt() / ((a * d).sqrt() + (b * c).sqrt())
    expected = [[share, 1 - share], [1 - share, share]]
    assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_sinkhorn_takes_numbers_of_any_size() -> None:
    logits = torch.tensor([[0.0, 1e4], [1e4, -1e4]])
    assert_close(sinkhorn(logits), torch.eye(2).flip(0))


def test_sinkhorn_ends_with_rows() -> None:
    torch.manual_seed(0)
    found = sinkhorn(5 * torch.randn(100, 4, 4, dtype=torch.float64), 3)
    assert (found.sum(-1) - 1).abs().max() < 1e-14
    assert (found.sum(-2) - 1).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("options", "branches", "message"),
    [
        (
            {"norm": "post"},
            6,
            "a GPT whose stream is a sum, got one with norms on it",
        ),
        ({"norm": "deep"}, 6, "stream is a sum"),
        ({"use_shortcut": False}, 6, "stream is a sum"),
        ({}, 5, "expected a rule for 6 branches, got one for 5"),
    ],
)
def test_what_does_not_fit(
    options: dict[str, Any], branches: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MixedGPT(gpt_of(**options), Rule(branches))


@pytest.mark.parametrize(
    ("rule", "given", "error", "name"),
    [
        (Rule, {"branches": 0}, ValueError, "branches"),
        (Scales, {"stream": "a"}, TypeError, "stream"),
        (Scales, {"embedding": "a"}, TypeError, "embedding"),
        (HyperConnections, {"apart": "a"}, TypeError, "apart"),
        (HyperConnections, {"streams": 0}, ValueError, "streams"),
        (HyperConnections, {"constrained": 1}, TypeError, "constrained"),
        (AttentionResiduals, {"width": 0}, ValueError, "width"),
    ],
)
def test_bad_input(
    rule: Any, given: dict[str, Any], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=f"expected {name}"):
        rule(**{"branches": 2} | given)


def test_the_smallest() -> None:
    one = [[1.0, 0.0], [1.0, 1.0]]
    rules = Rule(1), Scales(1), HyperConnections(1, streams=1)
    assert all(rule.matrix().tolist() == one for rule in rules)
    assert AttentionResiduals(1, width=1).branches == 1
    assert sinkhorn(torch.ones(2, 2), 1).tolist() == [[0.5, 0.5]] * 2


def test_weights_have_the_dtype_of_what_is_read() -> None:
    outputs = [torch.ones(1, 2, 3, dtype=torch.bfloat16)]
    assert Rule(2).begin()(outputs).dtype == torch.bfloat16


def test_how_far_apart_streams_begin() -> None:
    assert torch.equal(
        HyperConnections(2).mixes(), torch.eye(4).repeat(2, 1, 1)
    )
    one, *others = HyperConnections(2, constrained=True).mixes()[0, 0].tolist()
    assert_close(
        torch.tensor(others) / one, torch.exp(torch.tensor(-6.0)).expand(3)
    )


def test_no_steps() -> None:
    with pytest.raises(ValueError, match="expected steps"):
        sinkhorn(torch.ones(2, 2), 0)
