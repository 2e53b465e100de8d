"""Labels and targeting: tags, audiences, campaigns and the inbox."""
