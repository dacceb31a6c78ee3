<no-such-place/x>
