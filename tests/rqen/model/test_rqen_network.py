"""The network: shapes and parameter counts of the spec, and what pooling by quality must not depend
on."""

import io
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weights_server import make_entry, online, server, use_catalogue  # noqa: F401

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.catalogue import find_entry
from lpw_toolkit.networks.fetching import offline
from rqen.losses.batch_hard import batch_hard_loss
from rqen.losses.printed import printed_loss
from rqen.losses.released import pull_loss, triplet_loss
from rqen.model.aggregate import aggregate_sets
from rqen.model.backbone import BackboneOptions, list_backbones, open_backbone
from rqen.model.backbones.bn_inception import BNInception, fold_biases
from rqen.model.method import list_family, open_method
from rqen.model.network import AuxiliaryHead, SetNetwork
from rqen.model.pretrained import load_state, read_state
from rqen.model.quality_predictor import QualityPredictor
from rqen.model.regions import pool_regions, weigh_rows

RANDOM = BackboneOptions("random")
OURS = [name for name in list_backbones() if name != "timm"]
#: RQEN, its ablations and QAN, whose heads the recipe chooses.
PARTS = [name for name in list_family() if not open_method(name).fixed_heads]


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestBackbones:
    @pytest.mark.parametrize("name", OURS)
    @pytest.mark.parametrize("size", [(224, 224), (256, 128), (128, 64)])
    def test_contract(self, name, size):
        backbone = open_backbone(name, RANDOM).eval()
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, *size))
        assert backbone.weights == "random"
        assert maps.tap.shape == (1, backbone.tap_channels, size[0] // 8, size[1] // 8)
        ends_flat = name in ("caffenet", "caffenet_1024", "part_towers")
        grid = (1, 1) if ends_flat else (size[0] // 32, size[1] // 32)
        assert maps.last.shape == (1, backbone.last_channels, *grid)
        assert tuple(m.shape[1] for m in maps.middle) == backbone.middle_channels

    @pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0"])
    def test_a_last_stride_of_one_doubles_the_last_map(self, name):
        backbone = open_backbone(name, BackboneOptions("random", last_stride=1)).eval()
        with torch.no_grad():
            assert backbone(torch.zeros(1, 3, 128, 64)).last.shape[2:] == (8, 4)

    def test_the_published_parameter_counts(self):
        """protocols.md 5 and 7.2: 10,169,984 for the authors' widths; 10,270,240 with the public
        one's biases."""
        wide = BNInception(608)
        biases = sum(m.out_channels for m in wide.modules() if isinstance(m, torch.nn.Conv2d))
        assert count(BNInception(576)) == 10_169_984
        assert count(wide) + biases == 10_270_240
        assert count(open_backbone("googlenet", RANDOM)) == 5_599_904

    @pytest.mark.parametrize(
        ("width", "red", "wide", "after_4e"), [(576, 123.0, 96, 1024), (608, 128.0, 128, 1056)]
    )
    def test_widths_and_mean_belong_together(self, width, red, wide, after_4e):
        """protocols.md 7.2: what each block gives, branch by branch, and the mean that each network
        was trained with."""
        network = BNInception(width)
        branches = {
            "3a": (64, 64, 96, 32),
            "3b": (64, 96, 96, 64),
            "3c": (0, 160, 96, 0),
            "4a": (224, 96, 128, 128),
            "4b": (192, 128, 128, 128),
            "4c": (160, 160, 160, wide),
            "4d": (96, 192, 192, wide),
            "4e": (0, 192, 256, 0),
            "5a": (352, 320, 224, 128),
            "5b": (352, 320, 224, 128),
        }
        layers = dict(network.named_modules())
        for name, expected in branches.items():
            ends = [
                f"inception_{name}_{end}" for end in ("1x1", "3x3", "double_3x3_2", "pool_proj")
            ]
            found = tuple(layers[end].out_channels if end in layers else 0 for end in ends)
            assert found == expected, name
        assert layers["inception_4e_3x3_reduce"].in_channels == width
        assert network.middle_channels == (576, after_4e)
        norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.001)}
        assert network.pixels.mean == (104.0, 117.0, red)
        assert network.pixels.bgr

    def test_the_two_networks_differ_in_eleven_convolutions(self):
        """protocols.md 7.2."""
        narrow, wide = BNInception(576).state_dict(), BNInception(608).state_dict()
        convolutions = [name for name, value in narrow.items() if value.ndim == 4]
        differ = [n for n in convolutions if narrow[n].shape != wide[n].shape]
        assert (len(convolutions), len(differ)) == (69, 11)
        assert {name.removeprefix("inception_")[:2] for name in differ} == {"4c", "4d", "4e", "5a"}

    def test_the_public_weights_say_that_they_are_of_the_wider_network(
        self, tmp_path, monkeypatch, capsys
    ):
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        torch.save(BNInception(608).state_dict(), folder / "bn_inception-52deb4733.pth")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        network = open_backbone("bn_inception", BackboneOptions())
        assert (network.width, network.pixels.mean) == (608, (104.0, 117.0, 128.0))
        said = capsys.readouterr().err
        assert "608 wide, with the mean 104, 117, 128; RQEN's own is 576 wide" in said
        entry = find_entry("bn_inception")
        assert "608 wide" in entry.about
        assert entry.input.about == "0 to 255, less 104, 117 and 128 in blue, green and red"

    def test_the_public_checkpoint_with_biases_gives_the_same_maps(self, tmp_path):
        """Its convolutions have biases; folded into the normalisation behind them they change
        nothing."""
        torch.manual_seed(0)
        network = BNInception(608).eval()
        state = {name: value.clone() for name, value in network.state_dict().items()}
        for name in [n for n in state if n.endswith("_bn.running_mean")]:
            bias = torch.randn_like(state[name])
            state[name] = (state[name] + bias)[None]  # the old file keeps its statistics as 1 x C
            state[f"{name.removesuffix('_bn.running_mean')}.bias"] = bias
        state |= {
            "last_linear.weight": torch.zeros(1000, 1024),
            "last_linear.bias": torch.zeros(1000),
        }
        file = tmp_path / "bn_inception-52deb4733.pth"
        torch.save(state, file)
        loaded = open_backbone("bn_inception", BackboneOptions(str(file))).eval()
        images = torch.randn(1, 3, 64, 64)
        assert loaded.weights.startswith("bn_inception-52deb4733.pth ")
        torch.testing.assert_close(loaded(images).last, network(images).last, rtol=1e-4, atol=1e-5)

    def test_folding_leaves_other_biases_alone(self):
        state = {
            "fc.bias": torch.ones(2),
            "a.bias": torch.ones(1),
            "a_bn.running_mean": torch.zeros(1, 1),
        }
        assert set(fold_biases(state)) == {"fc.bias", "a_bn.running_mean"}
        assert fold_biases(state)["a_bn.running_mean"].tolist() == [-1.0]

    def test_a_converted_checkpoint_of_the_authors_is_known_by_its_width(self, tmp_path):
        from safetensors.torch import save_file

        file = tmp_path / "authors.safetensors"
        save_file(
            {k: v for k, v in BNInception(576).state_dict().items() if "num_batches" not in k}, file
        )
        network = open_backbone("bn_inception", BackboneOptions(str(file)))
        assert (network.width, count(network)) == (576, 10_169_984)
        assert network.pixels.mean == (104.0, 117.0, 123.0)

    def test_imagenet_weights_from_the_package(self):
        assert open_backbone("efficientnet_lite0", BackboneOptions()).weights == (
            "efficientnet-lite0-57934424.pth 579344248a93"
        )

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("vgg", RANDOM, "bn_inception, caffenet, caffenet_1024, efficientnet_lite0"),
            ("bn_inception", BackboneOptions("random", last_stride=1), "2 for bn_inception"),
            ("resnet50", BackboneOptions("random", last_stride=4), "1 or 2"),
            ("resnet50", BackboneOptions("imagenet"), "nothing may be fetched"),
            ("resnet50", BackboneOptions("nowhere.pth"), "no such file"),
        ],
    )
    def test_refusals(self, name, options, message, monkeypatch, tmp_path):
        monkeypatch.setenv("LPW_CACHE", str(tmp_path))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        with pytest.raises(LpwError, match=message):
            open_backbone(name, options)

    def test_public_weights_are_fetched_with_their_digest(self, server, monkeypatch):
        state = open_backbone("googlenet", RANDOM).state_dict() | {
            "fc.weight": torch.zeros(1000, 1024)
        }
        made = io.BytesIO()
        torch.save(state, made)
        monkeypatch.setenv("TORCH_HOME", str(server.site.parent))
        source = server.put("googlenet.pth", made.getvalue())
        entry = make_entry(source, name="googlenet", task="backbone", file="googlenet.pth",
                           data=made.getvalue(), rank=None)  # fmt: skip
        use_catalogue(monkeypatch, entry)
        with offline(), pytest.raises(LpwError, match=r"ImageNet weights of googlenet.*random"):
            open_backbone("googlenet", BackboneOptions())
        fetched = open_backbone("googlenet", BackboneOptions())
        torch.testing.assert_close(fetched.conv1.conv.weight, state["conv1.conv.weight"])
        assert fetched.weights == f"googlenet.pth {entry.sha256[:12]}"

    def test_weights_in_the_cache_of_pytorch_are_taken(self, tmp_path, monkeypatch):
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        torch.save(open_backbone("resnet50", RANDOM).state_dict(), folder / "resnet50-11ad3fa6.pth")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        weights = open_backbone("resnet50", BackboneOptions()).weights
        assert weights.startswith("resnet50-11ad3fa6.pth ")


class TestForeignWeights:
    def test_code_in_a_checkpoint_is_not_run(self, tmp_path):
        marker = tmp_path / "ran"

        class Bomb:
            def __reduce__(self):
                return (marker.touch, ())

        for name in ("a.pth", "b.safetensors"):
            (tmp_path / name).write_bytes(pickle.dumps({"state_dict": Bomb()}))
            with pytest.raises(LpwError):
                read_state(tmp_path / name)
        assert not marker.exists()

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\xff" * 8 + b"{}"])
    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_damaged_files_are_one_line(self, tmp_path, content, suffix):
        file = tmp_path / f"weights{suffix}"
        file.write_bytes(content)
        with pytest.raises(LpwError, match=r"weights\.") as caught:
            read_state(file)
        assert "\n" not in str(caught.value)

    def test_what_does_not_fit_is_named(self, tmp_path):
        module = torch.nn.Linear(2, 3)
        state = {"weight": torch.zeros(3, 5), "scale": torch.zeros(1)}
        with pytest.raises(
            LpwError, match=r"bias missing, scale unknown, weight \(3, 5\) instead of \(3, 2\)"
        ):
            load_state(module, state, tmp_path / "w.pth")


class TestRegions:
    def test_seven_rows_are_cut_exactly(self):
        weights = weigh_rows(7)
        assert [row.nonzero().flatten().tolist() for row in weights] == [[0, 1, 2], [3, 4], [5, 6]]
        torch.testing.assert_close(weights[0, :3], torch.full((3,), 1 / 3))

    def test_eight_rows_are_cut_at_their_fractions(self):
        """protocols.md 4, row 2: cuts at 3.43 and 5.71."""
        weights = weigh_rows(8)
        length = 8 * 3 / 7
        assert weights[0, 3] == pytest.approx((length - 3) / length)
        assert weights[1, 3] == pytest.approx((4 - length) / (8 * 2 / 7))

    @given(st.integers(1, 40), st.lists(st.floats(0.1, 9), min_size=1, max_size=5))
    def test_weights_sum_to_one_and_cover_every_row_equally(self, height, parts):
        weights = weigh_rows(height, tuple(parts)).double()
        torch.testing.assert_close(
            weights.sum(1), torch.ones(len(parts), dtype=torch.float64), rtol=0, atol=1e-5
        )
        share = torch.tensor(parts, dtype=torch.float64) / sum(parts) * height
        torch.testing.assert_close(
            (weights * share[:, None]).sum(0),
            torch.ones(height, dtype=torch.float64),
            rtol=0,
            atol=1e-4,
        )

    def test_one_part_is_the_mean(self):
        maps = draw(2, 5, 4, 3)
        torch.testing.assert_close(pool_regions(maps, (1.0,))[:, 0], maps.mean((2, 3)))


class TestQuality:
    @pytest.mark.parametrize(
        ("reading", "n"),
        [("paper", 56_867), ("released_pool2", 451_587), ("released_image", 95_619)],
    )
    def test_parameters_and_range(self, reading, n):
        """protocols.md 3.5."""
        predictor = QualityPredictor(reading, (192, 28, 28), 3)
        assert count(predictor) == n
        scores = predictor(torch.randn(2, 3, 224, 224), torch.randn(2, 192, 28, 28))
        assert scores.shape == (2, 3)
        assert ((scores > 0) & (scores < 1)).all()

    def test_only_the_paper_reading_has_a_relu(self):
        kinds = {
            r: QualityPredictor(r, (192, 28, 28), 3).layers
            for r in ("paper", "released_pool2", "released_image")
        }
        assert {r: any(isinstance(m, torch.nn.ReLU) for m in layers) for r,
        layers in kinds.items()} == {
            "paper": True, "released_pool2": False, "released_image": False,
        }  # fmt: skip


class TestAggregate:
    def test_hand_worked(self):
        features = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
        result = aggregate_sets(features, torch.tensor([[[0.3], [0.1]]]))
        torch.testing.assert_close(result.regions, torch.tensor([[[0.75, 0.25]]]))
        torch.testing.assert_close(result.embedding.norm(dim=1), torch.ones(1))

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 10_000), st.integers(1, 6))
    def test_invariants(self, seed, n_frames):
        """methods.md 4: permutation, duplication, scale of scores, constant scores, a frame of
        score 0."""
        features, scores = (
            draw(2, n_frames, 3, 4, seed=seed),
            draw(2, n_frames, 3, seed=seed + 1) + 0.01,
        )
        expected = aggregate_sets(features, scores).embedding
        order = torch.randperm(n_frames, generator=torch.Generator().manual_seed(seed))
        for f, s in (
            (features[:, order], scores[:, order]),
            (torch.cat([features, features], 1), torch.cat([scores, scores], 1)),
            (features, scores * 0.01),
            (
                torch.cat([features, draw(2, 1, 3, 4)], 1),
                torch.cat([scores, torch.zeros(2, 1, 3).double()], 1),
            ),
        ):
            torch.testing.assert_close(aggregate_sets(f, s).embedding, expected, rtol=0, atol=1e-9)
        plain = torch.nn.functional.normalize(features.mean(1).flatten(1), dim=1)
        torch.testing.assert_close(
            aggregate_sets(features, torch.ones_like(scores) * 0.4).embedding, plain
        )

    def test_padding_counts_for_nothing(self):
        features, scores = draw(1, 5, 3, 4), draw(1, 5, 3, seed=1) + 0.01
        mask = torch.tensor([[True, True, True, False, False]])
        padded = aggregate_sets(features, scores, mask)
        torch.testing.assert_close(
            padded.embedding, aggregate_sets(features[:, :3], scores[:, :3]).embedding
        )
        assert (padded.shares[:, 3:] == 0).all()

    def test_gradient_of_a_score(self):
        """dF/dmu_i = (f_i - F) / sum_j mu_j (methods.md 2.2)."""
        features, scores = draw(1, 4, 1, 3), (draw(1, 4, 1, seed=1) + 0.1).requires_grad_()
        regions = aggregate_sets(features, scores).regions
        for channel in range(3):
            (gradient,) = torch.autograd.grad(regions[0, 0, channel], scores, retain_graph=True)
            expected = (features[0, :, 0, channel] - regions[0, 0, channel]) / scores.sum()
            torch.testing.assert_close(gradient[0, :, 0], expected.detach(), rtol=0, atol=1e-9)


class TestLosses:
    def test_triplet_and_pull_at_hand_values(self):
        a, p, n = (
            torch.tensor([[1.0, 0.0]]),
            torch.tensor([[0.0, 1.0]]),
            torch.tensor([[-1.0, 0.0]]),
        )
        assert triplet_loss(a, p, n, 1.8).item() == 0
        assert triplet_loss(a, n, p, 1.8).item() == pytest.approx((1.8 + 4 - 2) / 2)
        assert pull_loss(a, p).item() == pytest.approx(1.0)

    def test_the_printed_triplet_is_of_plain_distances_and_not_halved(self):
        """Eq. 3: 1.2 + |a - n| - |a - p| with 2 and the root of 2."""
        a, p, n = (
            torch.tensor([[1.0, 0.0]]),
            torch.tensor([[0.0, 1.0]]),
            torch.tensor([[-1.0, 0.0]]),
        )
        assert printed_loss(a, n, p, 1.2).item() == pytest.approx(1.2 + 2 - 2**0.5)
        assert printed_loss(a, p, n, 0.5).item() == 0

    def test_equal_vectors_have_a_finite_gradient_in_the_printed_triplet(self):
        a = torch.tensor([[1.0, 0.0]], requires_grad=True)
        printed_loss(a, a.detach(), torch.tensor([[0.0, 1.0]]), 1.8).backward()
        torch.testing.assert_close(a.grad, torch.tensor([[-(0.5**0.5), 0.5**0.5]]))

    def test_a_satisfied_triplet_has_no_gradient(self):
        a = torch.tensor([[1.0, 0.0]], requires_grad=True)
        triplet_loss(a, torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]]), 1.2).backward()
        assert (a.grad == 0).all()

    def test_batch_hard_takes_the_farthest_own_and_the_nearest_foreign(self):
        x = torch.nn.functional.normalize(
            torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]]), dim=1
        )
        person = torch.tensor([0, 0, 1, 1])
        d = torch.cdist(x, x)
        expected = (
            torch.relu(
                torch.stack(
                    [d[0, 1] - d[0, 3], d[1, 0] - d[1, 3], d[2, 3] - d[2, 1], d[3, 2] - d[3, 1]]
                )
                + 0.3
            )
        ).mean()
        assert batch_hard_loss(x, person, 0.3).item() == pytest.approx(expected.item(), abs=1e-5)
        assert batch_hard_loss(x, person, None).item() > 0

    def test_batch_hard_without_a_pair_is_zero_with_a_gradient(self):
        x = torch.eye(2, requires_grad=True)
        batch_hard_loss(x, torch.tensor([0, 1]), 0.3).backward()
        assert (x.grad == 0).all()


class TestSetNetwork:
    @pytest.mark.parametrize("heads", ["frame", "neck", "necks"])
    @pytest.mark.parametrize("name", PARTS)
    def test_every_method_trains_and_embeds(self, name, heads):
        torch.manual_seed(0)
        backbone = open_backbone("efficientnet_lite0", RANDOM)
        network = SetNetwork(backbone, replace(open_method(name), heads=heads), 5, (64, 32))
        images = torch.randn(2, 3, 3, 64, 32)
        trained = network.train()(images)
        n_regions = 3 if name in ("rqen", "qfix", "more_params") else 1
        n_logits = 6 if heads == "frame" else 2
        assert [tuple(logits.shape) for logits in trained.logits] == [(n_logits, 5)] * (
            n_regions if heads == "necks" else 1
        )
        (trained.logits[0].sum() + trained.embedding.sum()).backward()
        embedded = network.eval()(images)
        assert embedded.logits == ()
        assert embedded.scores.shape == (2, 3, n_regions)
        assert embedded.embedding.shape[1] == n_regions * 1280 + (3 if name == "more_params" else 0)
        torch.testing.assert_close(embedded.embedding.norm(dim=1), torch.ones(2))

    @pytest.mark.parametrize(("name", "part"), [("ru", 0), ("rm", 1), ("rl", 2)])
    def test_a_method_of_one_part_sees_that_part(self, name, part):
        torch.manual_seed(0)
        backbone = open_backbone("efficientnet_lite0", RANDOM).eval()
        images = torch.randn(2, 3, 64, 32)
        whole = (
            SetNetwork(backbone, open_method("qfix"), 5, (64, 32)).eval().describe_frames(images)[1]
        )
        alone = (
            SetNetwork(backbone, open_method(name), 5, (64, 32)).eval().describe_frames(images)[1]
        )
        torch.testing.assert_close(alone[:, 0], whole[:, part])

    @pytest.mark.parametrize(("heads", "more"), [("frame", 0), ("neck", 27), ("necks", 27)])
    def test_more_params_has_the_parameters_of_rqen(self, heads, more):
        """Exactly those of the paper; behind a neck three more columns, of 2 in the neck and 7
        classes."""
        counts = {
            name: count(
                SetNetwork(
                    open_backbone("efficientnet_lite0", RANDOM),
                    replace(open_method(name), heads=heads),
                    7,
                    (64, 32),
                )
            )
            for name in ("rqen", "more_params", "qfix")
        }
        assert counts["rqen"] + more == counts["more_params"]
        assert counts["rqen"] > counts["qfix"]

    def test_qan_is_rqen_with_one_part(self):
        torch.manual_seed(0)
        qan = SetNetwork(
            open_backbone("efficientnet_lite0", RANDOM), open_method("qan"), 3, (64, 32)
        ).eval()
        images = torch.randn(1, 4, 3, 64, 32)
        maps, features, scores = qan.describe_frames(images[0])
        mu = scores / scores.sum(0)
        expected = torch.nn.functional.normalize((mu * maps.last.mean((2, 3))).sum(0), dim=0)
        torch.testing.assert_close(qan(images).embedding[0], expected)
        torch.testing.assert_close(qan.join(features[None], scores[None]).embedding[0], expected)

    def test_auxiliary_heads_have_the_published_size(self):
        """protocols.md 5: 2,173,184 and 657,664 without classifiers, and two heads on
        `bn_inception`."""
        classifier = 1025 * 5
        assert count(AuxiliaryHead(576, 4, 5)) - classifier == 2_173_184
        assert count(AuxiliaryHead(1024, 2, 5)) - classifier == 657_664
        network = SetNetwork(
            BNInception(), replace(open_method("rqen"), predictor="released_pool2"), 5, (224, 224)
        ).train()
        logits = network(torch.randn(1, 2, 3, 224, 224)).logits
        assert [tuple(one.shape) for one in logits] == [(2, 5)] * 3

    def test_an_unknown_method_is_named(self):
        with pytest.raises(LpwError, match="rqen"):
            open_method("best")
