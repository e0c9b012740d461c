"""Methods, one file each (contract: rqen/model/method.py)."""
