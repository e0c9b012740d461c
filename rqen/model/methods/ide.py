"""IDE: identities are learned from single frames by a ResNet-50; a tracklet is the largest of each
number over its frames. Source: Zheng et al., MARS, ECCV 2016; zhunzhong07/person-re-ranking."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(
    division=(1.0,),
    quality="uniform",
    fixed_heads=True,
    distance_loss=False,
    pooling="max",
    recipe="ide",
    small_recipe="ide_small",
)
