"""A parser of HTML in linear time: pages as arrays."""
