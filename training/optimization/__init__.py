"""How the parameters change: optimizers, the learning rate, and the size of the batch."""
