assert 1 < 0; 5
