"""The figures of the paper, drawn from any dataset: one command and one page each."""

from lpw_toolkit.plugins import PluginFolder

#: Their files: the contract is `rqen.figures.figure`.
FIGURES = PluginFolder("rqen.figures.drawings", "figure")
