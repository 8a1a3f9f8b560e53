"""The workloads: what a launch can run, one module or small package each."""
