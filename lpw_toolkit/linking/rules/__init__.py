"""The rules of the linker, one file each: what happens to tracks after frame-to-frame association.

The contract stands in `linking/rule.py`.
"""
