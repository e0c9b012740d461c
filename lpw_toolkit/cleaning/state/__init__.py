"""What the decisions add up to: resolved tracklets, persons and conflicts."""
