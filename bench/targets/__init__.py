"""Where bundles are measured. A target is a file and a row of the table in `names`; all speak `contract`."""
