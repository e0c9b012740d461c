"""The page on which a person cleans tracklets: `lpw clean --review`."""
