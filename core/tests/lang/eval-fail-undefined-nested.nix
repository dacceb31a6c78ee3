{ a = x: { b = undefinedThing; }; }
