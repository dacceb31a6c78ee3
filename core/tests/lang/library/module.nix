{ lib, ... }: { name = "from-file"; value = lib.double 21; at = __curPos.line; }
