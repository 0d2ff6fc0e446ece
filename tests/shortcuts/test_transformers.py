"""The small GPT against torch's own layers, and a loop for the mask."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from shortcuts.transformers import GPT, CausalAttention, TransformerBlock

WIDTH, HEADS, TOKENS = 12, 3, 7


def draw(module: nn.Module) -> Any:
    """Draw all parameters anew, norms included, in float64."""
    torch.manual_seed(0)
    for parameter in module.double().parameters():
        nn.init.normal_(parameter)
    return module


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_is_torchs_own_layer(norm: Any) -> None:
    block = draw(TransformerBlock(WIDTH, HEADS, norm=norm))
    layer = nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        4 * WIDTH,
        dropout=0,
        activation=lambda x: gelu(x, approximate="tanh"),
        batch_first=True,
        norm_first=norm == "pre",
        dtype=torch.float64,
    )
    own, torchs = block.attention, layer.self_attn
    norms = [
        part for part in block.modules() if isinstance(part, nn.LayerNorm)
    ]
    asked = own.query, own.key, own.value
    pairs = [
        (torchs.in_proj_weight, torch.cat([part.weight for part in asked])),
        (torchs.in_proj_bias, torch.cat([part.bias for part in asked])),
    ]
    for theirs, ours in (
        (torchs.out_proj, own.out),
        (layer.norm1, norms[0]),
        (layer.norm2, norms[1]),
        (layer.linear1, block.mlp[0]),
        (layer.linear2, block.mlp[2]),
    ):
        pairs += zip(theirs.parameters(), ours.parameters(), strict=True)
    for parameter, value in pairs:
        parameter.data = value.data
    h = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(
        TOKENS, dtype=torch.float64
    )
    expected = layer(h, src_mask=mask, is_causal=True)
    torch.testing.assert_close(block(h), expected, rtol=1e-12, atol=1e-12)


def test_attention_is_a_loop_over_tokens() -> None:
    attention = draw(CausalAttention(WIDTH, heads=1))
    h = torch.randn(TOKENS, WIDTH, dtype=torch.float64)
    q, k, v = attention.query(h), attention.key(h), attention.value(h)
    rows = []
    for token in range(TOKENS):
        seen = slice(token + 1)
        asked = (k[seen] @ q[token] / WIDTH**0.5).softmax(0)
        rows.append(attention.out(asked @ v[seen]))
    torch.testing.assert_close(attention(h[None])[0], torch.stack(rows))


@pytest.mark.parametrize("norm", ["none", "pre", "post", "peri", "deep"])
@pytest.mark.parametrize("use_shortcut", [True, False])
def test_where_norms_and_shortcuts_stand(
    norm: Any, use_shortcut: bool
) -> None:
    """Each placement as its formula, with norms that are not alike."""
    block = draw(
        TransformerBlock(
            WIDTH,
            HEADS,
            norm=norm,
            use_shortcut=use_shortcut,
            skip_scale=1.5,
        )
    )
    h = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    norms = [
        part for part in block.modules() if isinstance(part, nn.LayerNorm)
    ]
    expected = h
    for branch in (block.attention, block.mlp):
        skip = 1.5 * expected if use_shortcut else 0
        if norm == "none":
            expected = skip + branch(expected)
        elif norm == "pre":
            expected = skip + branch(norms.pop(0)(expected))
        elif norm == "peri":
            before, after = norms.pop(0), norms.pop(0)
            expected = skip + after(branch(before(expected)))
        else:
            expected = norms.pop(0)(skip + branch(expected))
    assert not norms
    torch.testing.assert_close(block(h), expected)


def test_how_branches_begin() -> None:
    """GPT-2's gain, and DeepNorm's two constants, on the same draws."""

    def gpt(**options: Any) -> Any:
        torch.manual_seed(1)
        return GPT(9, TOKENS, width=WIDTH, heads=HEADS, depth=8, **options)

    plain, gained, deep = gpt(), gpt(branch_gain=0.25), gpt(norm="deep")
    unit = gpt(weight_variance=1.0)
    smaller = {"attention.value", "attention.out", "mlp.0", "mlp.2"}
    for i in (0, 7):
        for name, linear in plain.blocks[i].named_modules():
            if not isinstance(linear, nn.Linear):
                continue
            largest = linear.weight.abs().max() * linear.in_features**0.5
            assert 0.9 < largest <= 1  # as torch draws a Linear
            last = name in ("attention.out", "mlp.2")
            of_gained = gained.blocks[i].get_submodule(name).weight
            assert torch.equal(
                of_gained, linear.weight * (0.25 if last else 1)
            )
            of_deep = deep.blocks[i].get_submodule(name).weight
            of_unit = unit.blocks[i].get_submodule(name).weight
            torch.testing.assert_close(of_unit, linear.weight * 3**0.5)
            assert torch.equal(
                unit.blocks[i].get_submodule(name).bias, linear.bias
            )
            small = 64**-0.25 if name in smaller else 1.0
            torch.testing.assert_close(of_deep, linear.weight * small)
        both = gpt(norm="deep", branch_gain=0.25).blocks[i]
        for name, gain in (("attention.out", 0.25), ("mlp.0", 1.0)):
            expected = deep.blocks[i].get_submodule(name).weight * gain
            found = both.get_submodule(name).weight
            torch.testing.assert_close(found, expected)
        assert deep.blocks[i].skip_scale == 2.0
        assert plain.blocks[i].skip_scale == 1.0


def test_what_is_usual() -> None:
    blocks: Any = GPT(9, TOKENS).blocks
    assert len(blocks) == 12
    assert all(block.attention.heads == 4 for block in blocks)
    block = draw(TransformerBlock(WIDTH, HEADS))
    pre = draw(TransformerBlock(WIDTH, HEADS, norm="pre"))
    h = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    assert torch.equal(block(h), pre(h))


def test_without_the_mask_all_see_all() -> None:
    model = GPT(9, TOKENS, width=WIDTH, heads=HEADS, depth=1, causal=False)
    text = torch.randint(9, (1, TOKENS))
    other = text.clone()
    other[0, -1] = (text[0, -1] + 1) % 9
    assert (model(text) != model(other)).any(dim=2).all()


def test_the_parts_of_a_gpt() -> None:
    model = draw(GPT(9, TOKENS, width=WIDTH, heads=HEADS, depth=2))
    text = torch.randint(9, (2, TOKENS))
    h = model.token.weight[text] + model.position.weight
    first = model.blocks[0](h)
    stream = [h, first, model.blocks[1](first)]
    torch.testing.assert_close(model.stream(text), stream)
    for part in stream:
        expected: Tensor = model.norm(part) @ model.head.weight.T
        torch.testing.assert_close(model.read(part), expected)
    torch.testing.assert_close(model(text), expected)
    # What comes later changes nothing of what was said before.
    later = torch.cat([text[:, :4], (text[:, 4:] + 1) % 9], dim=1)
    changed = (model(later) != model(text)).any(dim=(0, 2))
    assert changed.tolist() == [False] * 4 + [True] * 3


def test_post_norm_has_no_norm_of_its_own_at_the_end() -> None:
    model = GPT(9, TOKENS, width=WIDTH, heads=HEADS, depth=1, norm="post")
    assert isinstance(model.norm, nn.Identity)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heads": 5}, "heads to divide the width 32, got 5"),
        ({"norm": "after"}, "norm to be one of none, pre, .*, got 'after'"),
        ({"depth": 0}, "depth to be at least 1, got 0"),
        ({"width": 0}, "width to be at least 1, got 0"),
        ({"weight_variance": -1.0}, "variance to be at least 0, got -1.0"),
    ],
)
def test_what_is_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GPT(9, TOKENS, **options)


def test_a_text_longer_than_the_context() -> None:
    model = GPT(9, context=TOKENS, width=WIDTH, heads=HEADS, depth=1)
    with pytest.raises(ValueError, match="at most 7 characters, got 8"):
        model(torch.zeros(1, 8, dtype=torch.long))
