"""What the speed claims rest on: ratios to a peer or to the native floor, printed and never asserted."""
