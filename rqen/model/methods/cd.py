"""CD: three towers on overlapping parts of the body, binomial deviance of cosines; trained on one
dataset and tested on another (a reconstruction)."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(
    division=(1.0,),
    quality="uniform",
    heads="none",
    fixed_heads=True,
    projection=(500,),
    recipe="cd",
    small_recipe="cd_small",
)
