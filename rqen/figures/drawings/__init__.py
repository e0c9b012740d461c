"""One file per figure, named as `lpw reproduce` calls it; see `rqen.figures.figure`."""
