"""CUDA graphs: work recorded by the buckets of its sizes and launched as one."""
