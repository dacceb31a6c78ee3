assert "ab" == "a" + "c"; true
