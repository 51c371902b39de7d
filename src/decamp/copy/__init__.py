"""The data plane: how bytes get from cloud to cloud. It takes a source to read and a sink to call, and opens nothing itself."""
