{ here = ./.; file = ./sub/x; }
