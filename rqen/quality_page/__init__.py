"""What a run scores: pictures and a page of good and poor regions."""
