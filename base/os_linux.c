/* SPDX-License-Identifier: MIT */
/* Clocks, CPUs, memory and randomness of Linux. */
#include "base/mem.h"
#include "base/os.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

enum { CPU_SETS_MAX = 1 << 16 };

uint64_t os_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double os_wall_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void os_sleep_ns(uint64_t ns)
{
    struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u),
                          .tv_nsec = (long)(ns % 1000000000u) };
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR) continue;
}

/* CPUs of the affinity mask; the mask of a large machine needs a large set. */
static unsigned os_affinity_count(void)
{
    for (size_t cpus = 1024; cpus <= CPU_SETS_MAX; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set) break;
        const size_t size = CPU_ALLOC_SIZE(cpus);
        const bool ok = sched_getaffinity(0, size, set) == 0;
        const int count = ok ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (ok) return count > 0 ? (unsigned)count : 1;
        if (errno != EINVAL) break;
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* First line of a small file under /proc or /sys; false if it cannot be read. */
static bool os_read_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    const bool ok = fgets(line, size, f) != NULL;
    (void)fclose(f);
    return ok;
}

/* CPUs' worth of time that the cgroup (version 2, then 1) grants, rounded up; 0 = no limit. */
static unsigned os_cgroup_cpus(void)
{
    char line[64], period_line[64];
    int64_t quota = 0, period = 0;

    if (os_read_line("/sys/fs/cgroup/cpu.max", line, sizeof line)) {
        if (sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) != 2) return 0;
    } else if (os_read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line, sizeof line) &&
               os_read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period_line,
                            sizeof period_line)) {
        if (sscanf(line, "%" SCNd64, &quota) != 1 || sscanf(period_line, "%" SCNd64, &period) != 1)
            return 0;
    }
    if (quota <= 0 || period <= 0 || quota / period >= CPU_SETS_MAX) return 0;
    return (unsigned)((quota + period - 1) / period);
}

unsigned os_cpu_count(void)
{
    const unsigned allowed = os_affinity_count(), granted = os_cgroup_cpus();
    return granted && granted < allowed ? granted : allowed;
}

/* A number of a one-line file; UINT64_MAX if absent or "max". */
static uint64_t os_read_number(const char *path)
{
    char line[64];
    uint64_t v;

    if (!os_read_line(path, line, sizeof line) || sscanf(line, "%" SCNu64, &v) != 1)
        return UINT64_MAX;
    return v;
}

/* The number behind `row` in a file of "name number" or "name: number" lines; 0 if absent. */
static uint64_t os_read_row(const char *path, const char *row)
{
    char line[128];
    uint64_t v = 0;
    const size_t n = strlen(row);

    FILE *f = fopen(path, "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, row, n) != 0 || (line[n] != ':' && line[n] != ' ')) continue;
        if (sscanf(line + n + 1, "%" SCNu64, &v) == 1) break;
    }
    (void)fclose(f);
    return v;
}

static uint64_t os_meminfo(const char *row) { return os_read_row("/proc/meminfo", row) * 1024; }

static uint64_t os_cgroup_memory_max(void)
{
    const uint64_t v2 = os_read_number("/sys/fs/cgroup/memory.max");
    return v2 != UINT64_MAX ? v2 : os_read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
}

/* What the cgroup holds and cannot drop at once: cached files (a mapped model) count as free. */
static uint64_t os_cgroup_memory_used(void)
{
    const uint64_t v2 = os_read_number("/sys/fs/cgroup/memory.current");
    const bool is_v2 = v2 != UINT64_MAX;
    const uint64_t used =
        is_v2 ? v2 : os_read_number("/sys/fs/cgroup/memory/memory.usage_in_bytes");
    const uint64_t cached =
        is_v2 ? os_read_row("/sys/fs/cgroup/memory.stat", "inactive_file")
              : os_read_row("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file");
    if (used == UINT64_MAX) return 0;
    return used > cached ? used - cached : 0;
}

uint64_t os_memory_total(void)
{
    const uint64_t total = os_meminfo("MemTotal"), limit = os_cgroup_memory_max();
    return limit < total ? limit : total;
}

uint64_t os_memory_available(void)
{
    const uint64_t available = os_meminfo("MemAvailable"), limit = os_cgroup_memory_max();
    if (limit == UINT64_MAX) return available;
    const uint64_t used = os_cgroup_memory_used(), left = limit > used ? limit - used : 0;
    return left < available ? left : available;
}

uint64_t os_peak_rss(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_maxrss * 1024;
}

void os_random(void *out, size_t n)
{
    unsigned char *p = out;

    while (n > 0) {
        const ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            assert(errno == EINTR); /* a kernel without getrandom is older than 3.17 */
            continue;
        }
        p += got;
        n -= (size_t)got;
    }
}

char *os_executable_dir(void)
{
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);

    if (n <= 0 || (size_t)n >= sizeof path) return NULL;
    size_t len = (size_t)n;
    while (len > 1 && path[len - 1] != '/') len--;
    if (len > 1) len--;
    return mem_strndup(path, len);
}
