({ alpha, beta ? 1 }: alpha) { alpha = 1; bata = 2; }
