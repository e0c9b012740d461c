"""CaffeNet with fully connected layers of 4096, as published (56,868,224 parameters to fc7).

Shapes at 227 x 227: tap (pool1) 96 x 29 x 29, last (fc7) 4096 x 1 x 1.
"""

from rqen.model.backbone import BackboneOptions
from rqen.model.caffenet import CaffeNet, open_caffenet


def open_backbone(options: BackboneOptions) -> CaffeNet:
    """The network with the weights asked for. Errors: LpwError."""
    return open_caffenet("caffenet", 4096, options)
