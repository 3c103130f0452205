"""The engines that run a bundle's model files: a file per engine, each package imported only when asked for."""
