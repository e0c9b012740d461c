"""IDE with CaffeNet, whose fc7 of 1024 is the feature of a frame: the CNN of CNN+XQDA. Source:
Zheng et al., MARS, ECCV 2016."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(
    division=(1.0,),
    quality="uniform",
    fixed_heads=True,
    distance_loss=False,
    pooling="max",
    recipe="ide_caffenet",
    small_recipe="ide_small",
)
