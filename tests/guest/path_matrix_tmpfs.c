/* The same for a file system in memory. */
#define WHERE "/dev/shm"
#include "path_matrix.c"
