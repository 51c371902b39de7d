"""The command line: one file a verb, nothing but words in and out; everything is done by `decamp.app`."""
