{ config.plain = 99; }
