"""Boxes become tracks: frame-to-frame association, cuts where identities are ambiguous, joins over
gaps."""
