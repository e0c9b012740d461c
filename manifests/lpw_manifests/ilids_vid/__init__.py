"""iLIDS-VID: published facts; its splits come with the dataset."""
