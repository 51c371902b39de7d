"""The data plane: how bytes get from cloud to cloud. A lane takes a source that is read and a sink that is called; it opens nothing itself."""
