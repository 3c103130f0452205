"""From a trained network to a DeployGraph."""
