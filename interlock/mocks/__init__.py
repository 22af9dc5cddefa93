"""The mock broker, its faults, its prices and the strategies that drive a dry run."""
