"""Local pages to look at: a dataset, its persons over cameras, ranked lists."""
