/* SPDX-License-Identifier: MIT */
/* Logging: key=value, one event a line, through one sink. Level is tested before arguments are
 * evaluated. */
#pragma once
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

typedef void log_sink_fn(void *user, enum log_level level, const char *line);

/* Default: level warn, sink stderr. sink NULL = stderr. */
void log_configure(enum log_level level, log_sink_fn *sink, void *user);
bool log_enabled(enum log_level level);
/* "error", "warn", "info", "debug", "trace"; false if unknown. */
bool log_level_parse(const char *name, enum log_level *out);
/* Formats and hands over one line; control characters and non-ASCII control bytes are escaped, the
 * line is cut at 2,048 bytes. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define LOG(level, ...)                                                                            \
    do {                                                                                           \
        if (log_enabled(level)) log_write((level), __VA_ARGS__);                                   \
    } while (0)
