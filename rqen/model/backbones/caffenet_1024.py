"""CaffeNet with fully connected layers of 1024, the form in which MARS's authors used it.

Shapes at 227 x 227: tap (pool1) 96 x 29 x 29, last (fc7) 1024 x 1 x 1.
"""

from rqen.model.backbone import BackboneOptions
from rqen.model.caffenet import CaffeNet, open_caffenet


def open_backbone(options: BackboneOptions) -> CaffeNet:
    """The network with the weights asked for. Errors: LpwError."""
    return open_caffenet("caffenet_1024", 1024, options)
