"""Weights that others released: made-up files in every naming, against a forward pass written for that naming."""

from __future__ import annotations

import pickle

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

import d2c
from d2c.cli import cli
from d2c.errors import CheckpointError
from d2c.networks import find, network_of

MEAN = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]


class File(dict):
    """Weights by name. A layer that a forward pass asks for is made up when it is asked for the first time."""

    def __init__(self):
        super().__init__()
        self.random = torch.Generator().manual_seed(3)

    def conv(self, name, x, outs, side=3, bias=True):
        if f"{name}.weight" not in self:
            fan = x.shape[1] * side**2
            self[f"{name}.weight"] = torch.randn(outs, x.shape[1], side, side, generator=self.random) * fan**-0.5
            if bias:
                self[f"{name}.bias"] = torch.randn(outs, generator=self.random) / 10
        return F.conv2d(x, self[f"{name}.weight"], self.get(f"{name}.bias"), padding=side // 2)


def factors(scale):
    return {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]


def srresnet(file, lr, scale, n=6, blocks=2):
    x = F.leaky_relu(file.conv("conv_first", lr, n), 0.1)
    for i in range(blocks):
        x = x + file.conv(f"body.{i}.conv2", F.relu(file.conv(f"body.{i}.conv1", x, n)), n)
    for i, factor in enumerate(factors(scale)):
        x = F.leaky_relu(F.pixel_shuffle(file.conv(f"upconv{i + 1}", x, factor**2 * n), factor), 0.1)
    made = file.conv("conv_last", F.leaky_relu(file.conv("conv_hr", x, n), 0.1), 3)
    return made + F.interpolate(lr, scale_factor=scale, mode="bilinear", align_corners=False)


def framed(file, lr, scale, body, names, n, means):
    """EDSR's and RCAN's frame: ``names`` are those of head, body, convolutions of the tail, and the last one."""
    head, after, up, last = names
    if means:
        for name, sign in (("sub_mean", -1), ("add_mean", 1)):
            file[f"{name}.weight"] = torch.eye(3)[:, :, None, None]
            file[f"{name}.bias"] = sign * 255 * MEAN.flatten()
    shallow = file.conv(head, 255 * (lr - MEAN), n)
    x = file.conv(after, body(shallow), n) + shallow
    for i, factor in enumerate(factors(scale)):
        x = F.pixel_shuffle(file.conv(f"{up}.{2 * i}", x, factor**2 * n), factor)
    return file.conv(last, x, 3) / 255 + MEAN


def edsr(file, lr, scale, first, second, names, n=6, blocks=2, share=1.0, means=True):
    def body(x):
        for i in range(blocks):
            x = x + share * file.conv(f"body.{i}.{second}", F.relu(file.conv(f"body.{i}.{first}", x, n)), n)
        return x

    return framed(file, lr, scale, body, names, n, means)


def edsr_authors(file, lr, scale):
    return edsr(file, lr, scale, "body.0", "body.2", ("head.0", "body.2", "tail.0", "tail.1"))


def edsr_authors_wide(file, lr, scale):
    names = ("head.0", "body.1", "tail.0", "tail.1")
    return edsr(file, lr, scale, "body.0", "body.2", names, n=256, blocks=1, share=0.1)


def edsr_basicsr(file, lr, scale):
    names = ("conv_first", "conv_after_body", "upsample", "conv_last")
    return edsr(file, lr, scale, "conv1", "conv2", names, means=False)


def rcan(file, lr, scale, group, block, layers, names, n=8, means=True):
    first, second, squeeze, excite = layers

    def body(x):
        for g in range(2):
            inner = x
            for b in range(3):
                at = block.format(g=g, b=b)
                residual = file.conv(f"{at}.{second}", F.relu(file.conv(f"{at}.{first}", inner, n)), n)
                narrow = F.relu(file.conv(f"{at}.{squeeze}", residual.mean((2, 3), keepdim=True), 2, side=1))
                inner = inner + residual * torch.sigmoid(file.conv(f"{at}.{excite}", narrow, n, side=1))
            x = x + file.conv(group.format(g=g), inner, n)
        return x

    return framed(file, lr, scale, body, names, n, means)


def rcan_authors(file, lr, scale):
    layers = ("body.0", "body.2", "body.3.conv_du.0", "body.3.conv_du.2")
    names = ("head.0", "body.2", "tail.0", "tail.1")
    return rcan(file, lr, scale, "body.{g}.body.3", "body.{g}.body.{b}", layers, names)


def rcan_basicsr(file, lr, scale):
    layers = ("rcab.0", "rcab.2", "rcab.3.attention.1", "rcab.3.attention.3")
    names = ("conv_first", "conv_after_body", "upsample", "conv_last")
    return rcan(file, lr, scale, "body.{g}.conv", "body.{g}.residual_group.{b}", layers, names, means=False)


def rrdb(file, lr, scale, dense, ends, up, n=6, growth=3, blocks=2):
    shallow = file.conv(ends[0], lr, n)
    x = shallow
    for i in range(blocks):
        inner = x
        for j in (1, 2, 3):
            seen = [inner]
            for k in (1, 2, 3, 4):
                seen.append(F.leaky_relu(file.conv(dense.format(i=i, j=j, k=k), torch.cat(seen, 1), growth), 0.2))
            inner = inner + 0.2 * file.conv(dense.format(i=i, j=j, k=5), torch.cat(seen, 1), n)
        x = x + 0.2 * inner
    x = file.conv(ends[1], x, n) + shallow
    for i, factor in enumerate(factors(scale)):
        x = F.leaky_relu(file.conv(up(i), F.interpolate(x, scale_factor=factor), n), 0.2)
    return file.conv(ends[3], F.leaky_relu(file.conv(ends[2], x, n), 0.2), 3)


def rrdb_oldest(file, lr, scale):
    ups = len(factors(scale))
    ends = ("model.0", "model.1.sub.2", f"model.{2 + 3 * ups}", f"model.{4 + 3 * ups}")
    return rrdb(file, lr, scale, "model.1.sub.{i}.RDB{j}.conv{k}.0", ends, lambda i: f"model.{3 * i + 3}")


def rrdb_authors(file, lr, scale):
    ends = ("conv_first", "trunk_conv", "HRconv", "conv_last")
    return rrdb(file, lr, scale, "RRDB_trunk.{i}.RDB{j}.conv{k}", ends, lambda i: f"upconv{i + 1}")


def rrdb_basicsr(file, lr, scale):
    ends = ("conv_first", "conv_body", "conv_hr", "conv_last")
    return rrdb(file, lr, scale, "body.{i}.rdb{j}.conv{k}", ends, lambda i: f"conv_up{i + 1}")


def cdc(file, lr, scale, n=4, count=4):
    def bottleneck(at, x, outs):
        inner = F.leaky_relu(file.conv(f"{at}.res.0", x, outs, side=1, bias=False), 0.2)
        inner = F.leaky_relu(file.conv(f"{at}.res.2", inner, outs, bias=False), 0.2)
        residual = file.conv(f"{at}.res.4", inner, outs, side=1, bias=False)
        return residual + (x if x.shape[1] == outs else file.conv(f"{at}.identity", x, outs, side=1, bias=False))

    def inception(at, x):
        one = F.leaky_relu(file.conv(f"{at}.res1.0", x, n, side=1, bias=False), 0.2)
        two = file.conv(f"{at}.res2.1", file.conv(f"{at}.res2.0", x, n, side=1, bias=False), n, bias=False)
        three = file.conv(f"{at}.res3.1", file.conv(f"{at}.res3.0", x, n, side=1, bias=False), n, bias=False)
        three = file.conv(f"{at}.res3.3", F.leaky_relu(three, 0.2), n, bias=False)
        joined = torch.cat([one, F.leaky_relu(two, 0.2), F.leaky_relu(three, 0.2)], 1)
        return x + file.conv(f"{at}.filter_concat", joined, n, side=1, bias=False)

    def hourglass(at, x, tail):
        kept, small = [], x
        for k, outs in enumerate((2 * n, 2 * n, 4 * n, 4 * n), start=1):
            kept.append(bottleneck(f"{at}.down{k}.res_block", small, outs))
            small = F.max_pool2d(kept[-1], 2)
        for k in (0, 1):
            small = bottleneck(f"{at}.mid_res.{k}", small, 4 * n)
        for k, outs in enumerate((4 * n, 2 * n, 2 * n, n), start=1):
            before = kept[-k]
            skip = bottleneck(f"{at}.skip_conv{5 - k}", before, before.shape[1])
            small = bottleneck(f"{at}.up{k}.res_block", F.interpolate(small, scale_factor=2) + skip, outs)
        features = bottleneck(f"{at}.skip_conv0", x, n) + small
        x = features
        for k in range(2 * tail):
            x = inception(f"{at}.tail.{k}", x)
        return x, features

    def tail(at, x, side):
        x = file.conv(f"{at}.0.0", x, n)
        names = ["2"] if scale == 3 else [f"{i + 1}.1" for i in range(len(factors(scale)))]
        for name, factor in zip(names, factors(scale), strict=True):
            x = F.leaky_relu(file.conv(f"{at}.{name}", F.interpolate(x, scale_factor=factor), n), 0.2)
        last = 4 if scale == 3 else len(names) + 1
        return file.conv(f"{at}.{last + 1}.0", F.leaky_relu(file.conv(f"{at}.{last}.0", x, n), 0.2), 3, side=side)

    stem = file.conv("conv_in.0", lr, n)
    x, images, masks = stem, [], []
    for i in range(count):
        x, features = hourglass(f"HG_{i}", x, i < count - 1)
        part = {1: "flat", count // 2: "edge", count - 1: "corner"}.get(i)
        if part:
            taken = 0.2 * x + stem if part == "corner" else features
            images.append(tail(f"upsample_{part}", taken, 3))
            masks.append(tail(f"{part}_map", taken, 3 if scale == 3 else 1))
    weights = torch.stack(masks).softmax(0)
    return (weights * torch.stack(images)).sum(0)


def srflow(file, lr, scale, n=4, growth=3, hidden=5):
    """The image of latents 0. Its flow has one step without conditions and two with them at each level."""

    def small(name, *shape):
        if name not in file:
            file[name] = torch.randn(*shape, generator=file.random) / 10
        return file[name]

    def norm(at, x):
        return (x + small(f"{at}.bias", 1, x.shape[1], 1, 1)) * small(f"{at}.logs", 1, x.shape[1], 1, 1).exp()

    def zero_conv(at, x, outs):
        made = file.conv(at, x, 2 * outs) * (3 * small(f"{at}.logs", 2 * outs, 1, 1)).exp()
        return made[:, ::2], made[:, 1::2]

    def affine(at, x, outs):
        x = F.relu(norm(f"{at}.0.actnorm", file.conv(f"{at}.0", x, hidden, bias=False)))
        x = F.relu(norm(f"{at}.2.actnorm", file.conv(f"{at}.2", x, hidden, side=1, bias=False)))
        shift, factor = zero_conv(f"{at}.4", x, outs)
        return shift, torch.sigmoid(factor + 2) + 1e-4

    def undone(at, y, given):
        channels = y.shape[1]
        if given is not None:
            first, second = y.chunk(2, 1)
            shift, factor = affine(f"{at}.affine.fAffine", torch.cat([first, given], 1), channels // 2)
            shifts, factors = affine(f"{at}.affine.fFeatures", given, channels)
            y = torch.cat([first, second / factor - shift], 1) / factors - shifts
        mixed = torch.eye(channels) + small(f"{at}.invconv.weight", channels, channels) / channels
        file[f"{at}.invconv.weight"] = mixed
        y = torch.einsum("ij,njhw->nihw", mixed.inverse(), y)
        logs, bias = (small(f"{at}.actnorm.{name}", 1, channels, 1, 1) for name in ("logs", "bias"))
        return y * (-logs).exp() - bias

    shallow = file.conv("RRDB.conv_first", lr, n)
    x = shallow
    for i in range(2):
        inner = x
        for j in (1, 2, 3):
            seen = [inner]
            for k in (1, 2, 3, 4):
                at = f"RRDB.RRDB_trunk.{i}.RDB{j}.conv{k}"
                seen.append(F.leaky_relu(file.conv(at, torch.cat(seen, 1), growth), 0.2))
            inner = inner + 0.2 * file.conv(f"RRDB.RRDB_trunk.{i}.RDB{j}.conv5", torch.cat(seen, 1), n)
        x = x + 0.2 * inner
    block, trunk = x, file.conv("RRDB.trunk_conv", x, n) + shallow
    maps, x = [F.interpolate(trunk, scale_factor=0.5, mode="bilinear"), trunk], trunk
    for i in range(len(factors(scale))):
        x = file.conv(f"RRDB.upconv{i + 1}", F.interpolate(F.leaky_relu(x, 0.2) if i else x, scale_factor=2), n)
        maps.append(x)
    file.conv("RRDB.conv_last", file.conv("RRDB.HRconv", maps.pop(), n), 3)
    given = [torch.cat([own, F.interpolate(block, own.shape[2:])], 1) for own in maps]  # the coarsest first
    levels, layer = [], 0
    for level in range(len(given)):
        splits = level < len(given) - 2
        levels.append((layer, splits))
        layer += 4 + splits
    y = torch.zeros(1, 24 * scale, lr.shape[2] // 2, lr.shape[3] // 2)
    for (layer, splits), known in zip(reversed(levels), given, strict=True):
        at = "flowUpsamplerNet.layers."
        if splits:
            y = torch.cat([y, zero_conv(f"{at}{layer + 4}.conv", y, y.shape[1])[0]], 1)
        for number in (3, 2, 1):
            y = undone(f"{at}{layer + number}", y, known if number > 1 else None)
        y = F.pixel_shuffle(y, 2)
    file.conv("flowUpsamplerNet.f.0", given[0], 7)  # in their files, and never run
    return y


CASES = [
    ("srresnet", srresnet, (2, 3, 4)),
    ("edsr", edsr_authors, (2, 3, 4)),
    ("edsr", edsr_authors_wide, (2,)),
    ("edsr", edsr_basicsr, (2, 3, 4)),
    ("rcan", rcan_authors, (2, 3, 4, 8)),
    ("rcan", rcan_basicsr, (2, 3, 4)),
    ("rrdb", rrdb_oldest, (2, 4, 8)),
    ("rrdb", rrdb_authors, (2, 4)),
    ("rrdb", rrdb_basicsr, (2, 4)),
    ("cdc", cdc, (2, 3, 4)),
    ("srflow", srflow, (4, 8)),
]


@pytest.mark.parametrize(
    ("name", "forward", "scale"),
    [pytest.param(name, forward, s, id=f"{forward.__name__}-{s}") for name, forward, scales in CASES for s in scales],
)
def test_the_model_makes_what_the_layers_of_the_file_make(name, forward, scale, tmp_path):
    network = find(name)
    lr = torch.rand(1, 3, network.multiple, network.multiple + 16, generator=torch.Generator().manual_seed(1))
    file = File()
    with torch.no_grad():
        wanted = forward(file, lr, scale)
    torch.save(dict(file), tmp_path / "released.pth")
    model = network.released(tmp_path / "released.pth").eval()
    assert network_of(model)[1].scale == scale
    with torch.no_grad():
        made = model(lr)
    assert made.shape == wanted.shape
    assert (made - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("wrapped", ["params", "params_ema", "state_dict"])
def test_wrappers_and_the_prefix_of_data_parallel_training_are_taken_off(wrapped, tmp_path):
    file = File()
    srresnet(file, torch.rand(1, 3, 4, 4), 2)
    torch.save({wrapped: {f"module.{name}": value for name, value in file.items()}, "step": 5}, tmp_path / "a.pth")
    target = tmp_path / "a.safetensors"
    words = ["convert", str(tmp_path / "a.pth"), str(target), "--network", "srresnet"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert torch.equal(d2c.load(target).state_dict()["upconvs.0.weight"], file["upconv1.weight"])


def test_the_moving_average_is_taken_where_there_is_one(tmp_path):
    file, average = File(), File()
    average.random.manual_seed(9)
    for each in (file, average):
        srresnet(each, torch.rand(1, 3, 4, 4), 2)
    torch.save({"params": dict(file), "params_ema": dict(average)}, tmp_path / "a.pth")
    model = find("srresnet").released(tmp_path / "a.pth")
    assert torch.equal(model.state_dict()["conv_first.weight"], average["conv_first.weight"])


def broken(change, tmp_path):
    file = File()
    edsr_authors(file, torch.rand(1, 3, 4, 4), 2)
    change(file)
    torch.save(dict(file), tmp_path / "a.pth")
    return find("edsr").released(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.pop("body.1.body.2.bias"), "lacks body.1.body.2.bias, which body.1.conv2.bias of edsr"),
        (lambda file: file.update(extra=torch.ones(2)), "has extra, for which edsr has no place"),
        (
            lambda file: file.pop("head.0.weight"),
            r"not weights of edsr; expected a tensor named head\.0\.weight",
        ),
        (lambda file: file.update({"tail.1.bias": torch.ones(4)}), r"tail\.1\.bias has shape \(4,\), expected \(3,\)"),
        (lambda file: [file.pop(k) for k in list(file) if k.startswith("body")], r"incomplete \('no layer like body"),
        (
            lambda file: file.update({"sub_mean.bias": -255 * torch.tensor([0.5, 0.5, 0.5])}),
            r"sub_mean\.bias is \[-127\.5.*expected \[-114\.4.*edsr has a fixed colour layer",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(change, said, tmp_path):
    with pytest.raises(CheckpointError, match=said):
        broken(change, tmp_path)


def test_nothing_in_a_file_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    (tmp_path / "a.pth").write_bytes(pickle.dumps({"params": Evil()}))
    with pytest.raises(CheckpointError, match="not a file of weights that PyTorch wrote"):
        find("edsr").released(tmp_path / "a.pth")
    assert not (tmp_path / "made").exists()
