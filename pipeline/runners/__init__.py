"""Ways to run a stage: on a pool of processes here, or in this process."""
