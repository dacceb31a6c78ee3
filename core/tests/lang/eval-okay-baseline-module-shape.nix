let mk = { config, ... }: { config.out = config.inp + 1; config.inp = 1; }; r = mk { config = r.config; }; in r.config.out
