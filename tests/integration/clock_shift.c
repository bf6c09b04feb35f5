/* Shifts a program's wall clock by the seconds in $CLOCK_SHIFT_FILE (64 bits, read at each call); its other clocks stay right.
   libfaketime shifts the deadlines of Java's waits too: they return at once. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift_seconds;

__attribute__((constructor)) static void open_shift(void)
{
    int file = open(getenv("CLOCK_SHIFT_FILE"), O_RDONLY);
    shift_seconds = mmap(NULL, sizeof *shift_seconds, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && shift_seconds)
        now->tv_sec += *shift_seconds;
    return result;
}

int gettimeofday(struct timeval *now, void *zone)
{
    int result = (int)syscall(SYS_gettimeofday, now, zone);
    if (shift_seconds)
        now->tv_sec += *shift_seconds;
    return result;
}
