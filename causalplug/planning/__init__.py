"""Which mechanisms are pulled and which are trained together, in which order, against which
distribution."""
