throw { outPath = "message of a set"; }
