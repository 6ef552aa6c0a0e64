/* SPDX-License-Identifier: MIT */

/*
 * A library to preload: the program's time of day is shifted by the seconds that stand, as an int64_t, in the
 * file SHIFTED_CLOCK_FILE, and jumps when they change. The monotonic clocks stay as they are, as when
 * somebody sets the clock of a machine.
 *
 * It asks the kernel itself: whoever looks up the functions it replaces calls, before they are found, malloc
 * libraries that ask for the time.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_s;

__attribute__((constructor)) static void
attach(void)
{
        const char *path = getenv("SHIFTED_CLOCK_FILE");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = fd >= 0 ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

        if (page != MAP_FAILED)
                shift_s = page;
        if (fd >= 0)
                close(fd);
}

int
clock_gettime(clockid_t clock_id, struct timespec *tp)
{
        int status = (int)syscall(SYS_clock_gettime, clock_id, tp);

        if (status == 0 && shift_s && (clock_id == CLOCK_REALTIME || clock_id == CLOCK_REALTIME_COARSE))
                tp->tv_sec += *shift_s;
        return status;
}

int
gettimeofday(struct timeval *tv, void *tz)
{
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) != 0)
                return -1;
        *tv = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
        return 0;
}

time_t
time(time_t *timer)
{
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) != 0)
                return -1;
        if (timer)
                *timer = now.tv_sec;
        return now.tv_sec;
}
