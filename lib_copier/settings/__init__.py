"""What a setting takes, typed or stored; the settings of a training, the optimisers, the goals."""
