assert "true"; true
