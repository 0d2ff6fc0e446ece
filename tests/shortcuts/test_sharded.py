"""Sharded gradients, on real processes, against one process in float64."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

if torch.__version__ < "2.6":
    pytest.skip(
        "before 2.6 fully_shard is torch's own, and on GPUs alone",
        allow_module_level=True,
    )

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.multiprocessing.spawn import start_processes

from shortcuts import gradient_means, measure_gradients

PROCESSES = 4


class Model(nn.Module):
    """Rows that processes can share evenly or not, fewer than they, tied."""

    def __init__(self) -> None:
        super().__init__()
        self.even, self.wide = nn.Linear(6, 12), nn.Linear(12, 6)
        self.uneven, self.norm = nn.Linear(6, 5), nn.LayerNorm(5)
        self.tied, self.again = nn.Linear(5, 5), nn.Linear(5, 5)
        self.again.weight = self.tied.weight
        self.few = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map samples of 6 tokens of 6 numbers."""
        x = x + self.wide(self.even(x).relu())
        x = self.norm(self.uneven(x))
        y: Tensor = self.few(self.again(self.tied(x).relu()))
        return y


# The minimal case: the first dimension divides by two processes, and what
# DTensor itself says is this process's own mean.


def smallest(mesh: DeviceMesh) -> Any:
    model = nn.Linear(6, 4, bias=False)
    nn.init.ones_(model.weight)
    return fully_shard(model, mesh=mesh)


def fsdp2(mesh: DeviceMesh) -> Any:
    return fully_shard(Model(), mesh=mesh)


def mixed(mesh: DeviceMesh) -> Any:
    model = Model()
    fully_shard(model.wide, mesh=mesh)
    return model


def tensor_parallel(mesh: DeviceMesh) -> Any:
    plan = {"even": ColwiseParallel(), "wide": RowwiseParallel()}
    return parallelize_module(Model(), mesh, plan)


def sequence_parallel(mesh: DeviceMesh) -> Any:
    model = nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4))
    plan = {
        "0": ColwiseParallel(output_layouts=Shard(1)),
        "1": SequenceParallel(),
    }
    return parallelize_module(model, mesh, plan)


def both(mesh: DeviceMesh) -> Any:
    return fully_shard(sequence_parallel(mesh["tp"]), mesh=mesh["dp"])


def strided(mesh: DeviceMesh) -> Any:
    model = nn.Linear(6, 4, bias=False)
    nn.init.ones_(model.weight)
    rows = ColwiseParallel(output_layouts=Replicate())
    parallelize_module(model, mesh["tp"], rows)
    return fully_shard(model, mesh=mesh["dp"])


def ddp(mesh: DeviceMesh) -> Any:
    return nn.parallel.DistributedDataParallel(
        Model(), process_group=mesh.get_group()
    )


# How each is made, on how many processes in which mesh, and the number of
# collectives: one for each dimension of a mesh that shards anything, and one
# for each gradient whose parts have not been added up yet (a norm's, where a
# sequence is parallel).
SITUATIONS: dict[str, tuple[Callable[[Any], Any], Any, int]] = {
    "smallest on 2": (smallest, 2, 1),
    "fsdp2 on 2": (fsdp2, 2, 1),
    "fsdp2 on 3": (fsdp2, 3, 1),
    "fsdp2 on 4": (fsdp2, 4, 1),
    "hsdp on 2 x 2": (fsdp2, (2, 2), 1),
    "mixed on 3": (mixed, 3, 1),
    "tensor parallel on 2": (tensor_parallel, 2, 1),
    "tensor parallel on 3": (tensor_parallel, 3, 1),
    "sequence parallel on 3": (sequence_parallel, 3, 2),
    "fsdp2 and tensor parallel on 2 x 2": (both, (2, 2), 2),
    "rows sharded twice on 2 x 2": (strided, (2, 2), 2),
    "ddp on 2": (ddp, 2, 0),
}


def inputs(samples: int) -> Tensor:
    generator = torch.Generator().manual_seed(412)
    return torch.randn(samples, 6, 6, generator=generator)


def loss(model: nn.Module, x: Tensor) -> Any:
    y = model(x)
    y = y.full_tensor() if hasattr(y, "full_tensor") else y
    return (y * torch.arange(1.0, 1 + y.shape[-1])).square().mean()


def look(make: Callable[[Any], Any], mesh: Any) -> dict[str, Any]:
    """Return what one process finds, and what one alone would have."""
    torch.manual_seed(0)
    model = make(mesh)
    rank, count = part(make, mesh)
    x = inputs(count)
    own = x[[rank]]
    loss(model, own).backward()
    counted: Any = CommDebugMode
    with counted() as collectives:
        means = gradient_means(model, scale=2)
    torch.manual_seed(0)
    alone = whole(make).double()
    losses = [loss(alone, s[None].double()) for s in x]
    (sum(losses) / count).backward()
    grads = {n: p.grad for n, p in alone.named_parameters()}
    prefix = "module." if make is ddp else ""
    return {
        "means": means,
        "exact": {
            prefix + name: grad.abs().mean().item() / 2
            for name, grad in grads.items()
            if "weight" in name
        },
        "collectives": collectives.get_total_counts(),
        "of this process": next(model.parameters()).grad.abs().mean().item(),
    }


def part(make: Callable[[Any], Any], mesh: Any) -> tuple[int, int]:
    """Return which part of the data a process has, and of how many."""
    if make in (tensor_parallel, sequence_parallel, mixed):
        return 0, 1  # the same on all
    if make in (both, strided):
        return mesh["dp"].get_local_rank(), mesh["dp"].size()
    rank = 0
    for at, size in zip(mesh.get_coordinate(), mesh.shape, strict=True):
        rank = rank * size + at
    return rank, mesh.size()


def whole(make: Callable[[Any], Any]) -> Any:
    if make in (smallest, strided):
        model = nn.Linear(6, 4, bias=False)
        nn.init.ones_(model.weight)
        return model
    if make in (sequence_parallel, both):
        return nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4))
    return Model()


def refused(mesh: Any) -> dict[str, str]:
    """Return what is said where nothing right can be."""
    said = {}
    ones, sharded = inputs(1), fsdp2(mesh)
    old = FullyShardedDataParallel(
        Model(),
        process_group=mesh.get_group(),
        device_id=torch.device("cpu"),
        use_orig_params=True,
    )
    loss(old, ones).backward()
    calls: dict[str, Callable[[], object]] = {
        "fsdp1": lambda: gradient_means(old),
        "fsdp2 measured": lambda: measure_gradients(sharded, ones),
        "ddp measured": lambda: measure_gradients(ddp(mesh), ones),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match="expected") as caught:
            call()
        said[name] = str(caught.value)
    summon: Any = FullyShardedDataParallel.summon_full_params
    with summon(old, with_grads=True):
        said["fsdp1 summoned"] = str(len(gradient_means(old)))
    return said


def strange(mesh: Any) -> dict[str, Any]:
    """Return the words about nan in one shard, and about a missing one."""
    model = fsdp2(mesh)
    loss(model, inputs(1)).backward()
    model.few.weight.grad = None
    if mesh.get_rank() == 0:
        model.even.weight.grad.to_local().fill_(torch.nan)
    with pytest.warns(UserWarning, match="gradient") as caught:
        means = gradient_means(model)
    return {
        "nan": [name for name, mean in means.items() if mean != mean],
        "said": [str(warning.message) for warning in caught],
    }


def work(rank: int, folder: str) -> None:
    """Go through all situations as one of four processes."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", f"file://{folder}/meet", rank=rank, world_size=PROCESSES
    )
    found: dict[str, Any] = {}
    for name, (make, size, _) in SITUATIONS.items():
        if isinstance(size, tuple):
            mesh = init_device_mesh("cpu", size, mesh_dim_names=("dp", "tp"))
        else:
            mesh = DeviceMesh("cpu", list(range(size)))
        if mesh.get_coordinate() is not None:
            found[name] = look(make, mesh)
    mesh = DeviceMesh("cpu", [0, 1])
    if rank < 2:
        found |= {"refused": refused(mesh), "strange": strange(mesh)}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Start four processes once, and return what each has found."""
    folder = tmp_path_factory.mktemp("processes")
    start: Any = start_processes
    start(work, (str(folder),), nprocs=PROCESSES, start_method="spawn")
    return [
        json.loads((folder / f"{rank}.json").read_text())
        for rank in range(PROCESSES)
    ]


@pytest.mark.parametrize("name", SITUATIONS)
def test_as_if_one_process_had_it_all(
    found: list[dict[str, Any]], name: str
) -> None:
    there = [own[name] for own in found if name in own]
    size = SITUATIONS[name][1]
    assert len(there) == (size if isinstance(size, int) else 4)
    for own in there:
        assert own["means"] == pytest.approx(own["exact"], rel=1e-6)
        assert own["means"] == there[0]["means"]
        assert own["collectives"] == SITUATIONS[name][2]


def test_the_mean_of_one_process_is_another(
    found: list[dict[str, Any]],
) -> None:
    # This is what makes the case worth a test: torch's own words differ.
    first, second = (
        own["smallest on 2"]["of this process"] for own in found[:2]
    )
    assert first < 0.6 * second


def test_words_where_nothing_right_can_be_said(
    found: list[dict[str, Any]],
) -> None:
    said = found[0]["refused"]
    assert "(FSDP1), which keeps pieces" in said["fsdp1"]
    assert said["fsdp1 summoned"] == "6"
    assert (
        "got sharded parameters: use gradient_means" in said["fsdp2 measured"]
    )
    assert "measure model.module" in said["ddp measured"]


def test_one_shards_nan_is_all_processes(found: list[dict[str, Any]]) -> None:
    for own in found[:2]:
        assert own["strange"] == {
            "nan": ["even.weight", "few.weight"],
            "said": [
                "no gradient reached few.weight: reported as nan",
                "the gradient is not finite in even.weight",
            ],
        }
