"""Code of the devices."""
