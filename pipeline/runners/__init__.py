"""Ways to run a stage: on a pool of processes here, in this process, or as jobs of an engine (Flink, Spark, Prism)."""
