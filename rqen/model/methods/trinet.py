"""TriNet: single frames become vectors of 128 by batch-hard triplets; a tracklet is their mean.
Source: Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, 2017."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(
    division=(1.0,),
    quality="uniform",
    heads="none",
    fixed_heads=True,
    projection=(1024, 128),
    unit=False,
    metric="euclidean",
    recipe="trinet",
    small_recipe="trinet_small",
)
