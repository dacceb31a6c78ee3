import ./data/broken
