"""Real OpenStack services on this machine: up, seed, down."""
