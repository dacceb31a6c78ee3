with { alpha = 1; }; alpah
