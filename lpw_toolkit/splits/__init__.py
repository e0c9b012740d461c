"""Who trains, who queries and who is in the gallery: published splits as data, and drawn ones from
a seed."""
