"""What the tables of the service are measured with: servers as processes, their clients, turns."""
