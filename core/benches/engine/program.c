/* The builder of the benchmarks: writes a line to $out, or does nothing where
   there is none. */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    const char *out = getenv("out");
    if (!out)
        return 0;
    int file = open(out, O_CREAT | O_WRONLY, 0644);
    return file < 0 || write(file, "made\n", 5) != 5;
}
