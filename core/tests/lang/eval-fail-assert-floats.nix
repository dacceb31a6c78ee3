assert 0.1 + 0.2 == 0.5; true
