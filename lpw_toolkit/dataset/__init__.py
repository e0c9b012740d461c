"""The data contract: a folder of Parquet tables and images, described and verified by its
`dataset.json`."""
