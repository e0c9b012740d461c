"""Manual cleaning: suggestions, decisions and what is made of them."""
