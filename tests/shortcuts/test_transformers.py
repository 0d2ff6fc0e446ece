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
    asked = own.query, own.key, own.value
    pairs = [
        (torchs.in_proj_weight, torch.cat([part.weight for part in asked])),
        (torchs.in_proj_bias, torch.cat([part.bias for part in asked])),
    ]
    for theirs, ours in (
        (torchs.out_proj, own.out),
        (layer.norm1, block.attention_norm),
        (layer.norm2, block.mlp_norm),
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


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_without_shortcuts_a_branch_takes_the_streams_place(norm: Any) -> None:
    block = draw(TransformerBlock(WIDTH, HEADS, norm=norm, use_shortcut=False))
    h = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    first, second = block.attention_norm, block.mlp_norm
    if norm == "pre":
        expected = block.mlp(second(block.attention(first(h))))
    else:
        expected = second(block.mlp(first(block.attention(h))))
    torch.testing.assert_close(block(h), expected)


def test_the_parts_of_a_gpt() -> None:
    model = draw(GPT(9, TOKENS, width=WIDTH, heads=HEADS, depth=2))
    text = torch.randint(9, (2, TOKENS))
    h = model.token.weight[text] + model.position.weight
    h = model.blocks[1](model.blocks[0](h))
    expected: Tensor = model.norm(h) @ model.head.weight.T
    torch.testing.assert_close(model(text), expected)
    # What comes later changes nothing of what was said before.
    later = torch.cat([text[:, :4], (text[:, 4:] + 1) % 9], dim=1)
    changed = (model(later) != model(text)).any(dim=(0, 2))
    assert changed.tolist() == [False] * 4 + [True] * 3


def test_post_norm_has_no_norm_of_its_own_at_the_end() -> None:
    model = GPT(9, TOKENS, width=WIDTH, heads=HEADS, depth=1, norm="post")
    assert isinstance(model.norm, nn.Identity)
    assert model.blocks[0].norm == "post"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heads": 5}, "heads to divide the width 32, got 5"),
        ({"norm": "peri"}, "norm to be pre or post, got 'peri'"),
        ({"depth": 0}, "depth to be at least 1, got 0"),
        ({"width": 0}, "width to be at least 1, got 0"),
    ],
)
def test_what_is_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GPT(9, TOKENS, **options)


def test_a_text_longer_than_the_context() -> None:
    model = GPT(9, context=TOKENS, width=WIDTH, heads=HEADS, depth=1)
    with pytest.raises(ValueError, match="at most 7 characters, got 8"):
        model(torch.zeros(1, 8, dtype=torch.long))
