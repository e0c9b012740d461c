"""Recipes: the published values, changes from the command line, and errors that say the way out."""

import pytest

from lpw_toolkit.errors import LpwError
from rqen.recipe import list_recipes, make_recipe, read_recipe


def test_the_released_values():
    """protocols.md 3.5 to 3.7 and 4."""
    paper, pool2, image = (
        read_recipe(name) for name in ("paper", "released-pool2", "released_image")
    )
    assert (paper.loss.pull, pool2.loss.pull, image.loss.pull) == (0, 1, 1)
    assert (pool2.loss.margin, image.loss.margin) == (1.8, 1.2)
    assert [r.model.predictor for r in (paper, pool2, image)] == [
        "paper",
        "released_pool2",
        "released_image",
    ]
    for recipe in (paper, pool2, image):
        assert (recipe.optim.lr, recipe.optim.weight_decay, recipe.optim.schedule) == (
            1e-3,
            2e-4,
            "constant",
        )
        assert (recipe.data.n_frames, recipe.data.n_triplets, recipe.train.iterations) == (
            8,
            1,
            15_000,
        )
        assert (recipe.data.flip, recipe.data.crop, recipe.data.erase) == (0, 0, 0)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_is_read_back_from_its_values(name):
    recipe = read_recipe(name)
    values = recipe.values()
    values.pop("name")
    assert make_recipe(name, values) == recipe


def test_changes():
    recipe = read_recipe(
        "modern",
        ("optim.lr=1", "optim.steps=[3, 4]", "model.weights=some file.pth", "train.compile=true"),
    )
    assert recipe.optim.lr == 1.0
    assert recipe.optim.steps == (3, 4)
    assert recipe.model.weights == "some file.pth"
    assert recipe.train.compile is True


def test_a_method_takes_the_division_of_the_recipe_unless_it_has_one_part():
    recipe = read_recipe("paper", ("model.division=[4, 1, 2]",))
    assert recipe.specify("rqen").division == (4.0, 1.0, 2.0)
    assert recipe.specify("qan").division == (1.0,)
    assert recipe.specify("more-params").quality == "appended"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optim.lrr=1", "did you mean optim.lr"),
        ("optim.lr=fast", "type float"),
        ("speed.x=1", "unknown key speed"),
        ("optim", "SECTION.KEY=VALUE"),
        ("loss.triplet=soft", "batch_hard"),
        ("train.iterations=-1", "0 or more"),
        ("train.iterations=true", "type int"),
        ("data.n_frames=2.5", "type int"),
        ("optim.lr=inf", "finite"),
    ],
)
def test_bad_changes_are_one_line(change, message):
    with pytest.raises(LpwError, match=message) as caught:
        read_recipe("paper", (change,))
    assert "\n" not in str(caught.value)


def test_files(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[train]\niterations = 3\n")
    assert read_recipe(str(file)).train.iterations == 3
    assert read_recipe(str(file)).name == "mine"
    file.write_text("[train\n")
    with pytest.raises(LpwError, match="TOML"):
        read_recipe(str(file))
    with pytest.raises(LpwError, match="paper"):
        read_recipe("nothing")


class TestAdapt:
    def test_the_baseline_has_softmax_alone_on_single_frames(self):
        released = read_recipe("released_pool2").adapt("baseline")
        assert (released.loss.triplet, released.loss.pull) == ("none", 0.0)
        assert (released.data.batch, released.data.n_frames) == ("frames", 16)
        modern = read_recipe("modern").adapt("baseline")
        assert (modern.loss.triplet, modern.data) == ("none", read_recipe("modern").data)

    def test_other_methods_keep_the_recipe(self):
        assert read_recipe("paper").adapt("rqen") == read_recipe("paper")

    def test_a_part_that_the_division_lacks(self):
        with pytest.raises(LpwError, match="2 parts"):
            read_recipe("modern", ("model.division=[1, 1]",)).specify("rl")


@pytest.mark.parametrize(
    "change",
    [
        "model.division=[3, 0, 2]",
        "model.division=[]",
        "data.height=0",
        "data.n_frames=0",
        "data.erase=1.5",
    ],
)
def test_values_that_nothing_could_be_made_of(change):
    with pytest.raises(LpwError, match=change.partition("=")[0]):
        read_recipe("modern", (change,))
