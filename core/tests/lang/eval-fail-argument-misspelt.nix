let f = { version, ... }: version; in f { verison = 1; }
