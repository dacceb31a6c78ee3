assert 1 == 2; 5
