/* SPDX-License-Identifier: MIT */
/* Counters of the service and their Prometheus text (GET /metrics). */
#pragma once
#include "base/base.h"
#include <stdatomic.h>

struct exchange;

enum { METRIC_ROUTES_MAX = 32, METRIC_CODES = 20, METRIC_BUCKETS = 14 };

/* A histogram of durations; bucket i counts what took at most metrics_bucket_s(i) seconds, the last
 * one everything. */
struct duration_histogram {
    atomic_uint_fast64_t buckets[METRIC_BUCKETS];
    atomic_uint_fast64_t sum_us;
};

struct metrics {
    /* [route, the last row for requests that matched none][HTTP code, see metrics.c] */
    atomic_uint_fast64_t requests[METRIC_ROUTES_MAX][METRIC_CODES];
    atomic_uint_fast64_t disconnects;  /* clients that left before their answer was complete */
    atomic_uint_fast64_t refused_busy; /* 503 because a queue was full */
    atomic_int in_flight;              /* exchanges between first and last byte */
    atomic_int chats;                  /* chat requests at work */
    struct duration_histogram request_time, first_token_time;
};

/* route: its index, or a negative number for none. */
void metrics_count(struct metrics *m, int route, int code);
void metrics_observe(struct duration_histogram *h, uint64_t ns);
/* GET /metrics */
void metrics_show(struct exchange *ex);
