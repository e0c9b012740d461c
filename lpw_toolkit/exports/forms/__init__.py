"""Forms of export, one file each; `exports.form` says what a file provides."""
