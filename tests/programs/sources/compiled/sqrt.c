#include <math.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    double s = 0;
    for (int i = 1; i < argc; i++)
        s += sqrt(atof(argv[i]));
    printf("%d %.6f\n", argc, s);
    return argc;
}
