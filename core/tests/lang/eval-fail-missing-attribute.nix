{ version = 1; }.verson
