/* What Android's C library has and glibc has not, for running Android's libsparsr.so on glibc: a library named libc.so. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

int *__errno(void);
int *__errno(void) { return &errno; }

char *__gnu_strerror_r(int number, char *text, size_t size);
char *__gnu_strerror_r(int number, char *text, size_t size) { return strerror_r(number, text, size); }
