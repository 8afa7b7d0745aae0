/* SPDX-License-Identifier: MIT */
/* cupola serve: the HTTP service in the foreground. */
#include "cli/cli.h"
#include "server/server.h"
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Signals are blocked in every thread and waited for here. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* The first signal drains; a second one ends the process at once. What does not let go of its work
 * in time is ended with the process, since it may not be freed under it. */
static int wait_and_stop(struct server *server, const sigset_t *set)
{
    struct err err = { 0 };
    int sig = 0;

    sigwait(set, &sig);
    LOG(LOG_INFO, "event=drain signal=%d", sig);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
    if (server_stop(server, &err) == ST_OK) return CLI_DONE;
    const int rc = cli_fail(&err);
    fflush(NULL);
    _Exit(rc);
}

static int serve(const struct server_config *cfg, int64_t ready_fd)
{
    struct server *server = NULL;
    struct err err = { 0 };
    sigset_t set;

    signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error of its socket */
    block_signals(&set);
    if (server_start(&server, cfg, &err) != ST_OK) return cli_fail(&err);
    printf("listening on %s\n", server_url(server));
    fflush(stdout);
    if (ready_fd >= 0) {
        const char *url = server_url(server);
        if (write((int)ready_fd, url, strlen(url)) < 0 || write((int)ready_fd, "\n", 1) < 0)
            LOG(LOG_WARN, "event=ready_fd error=write");
        close((int)ready_fd);
    }
    return wait_and_stop(server, &set);
}

enum { DEFAULT_PORT = 5272 }; /* the port Foundry Local documents */

int cmd_serve(int argc, char **argv)
{
    struct server_config cfg = { 0 };
    struct cli_list dirs = { 0 }, origins = { 0 }, hosts = { 0 };
    int64_t port = DEFAULT_PORT, ready_fd = -1, context = 0, batch = 0, kv_tokens = 0;
    const struct cli_option options[] = {
        { "--host", CLI_STRING, &cfg.host, "ADDR", "address to bind (default: 127.0.0.1)" },
        { "--port", CLI_INT(0, 65535), &port, "N", "port; 0 = any free one (default: 5272)" },
        { "--models-dir", CLI_LIST, &dirs, "DIR",
          "folder of model folders, loaded when asked for; may be repeated" },
        { "--api-key-file", CLI_STRING, &cfg.api_key_file, "FILE",
          "require one of the keys in FILE (one a line)" },
        { "--insecure", CLI_FLAG, &cfg.insecure, NULL,
          "allow an address beyond loopback without a key" },
        { "--allow-origin", CLI_LIST, &origins, "URL",
          "browser origin that may call the API; may be repeated" },
        { "--allow-host", CLI_LIST, &hosts, "NAME",
          "further name accepted in the Host header; may be repeated" },
        { "--ready-fd", CLI_INT(0, INT_MAX), &ready_fd, "N",
          "write the URL to this descriptor once requests are accepted" },
        { "--context", CLI_INT(0, INT32_MAX), &context, "N",
          "longest sequence in tokens (default: the model's)" },
        { "--batch", CLI_INT(0, 1024), &batch, "N", "sequences in one step (default: 16)" },
        { "--kv-tokens", CLI_INT(0, INFINITY), &kv_tokens, "N",
          "tokens the KV cache holds, all sequences together" },
        { "--drain", CLI_DOUBLE(0, 86400), &cfg.drain_seconds, "S",
          "seconds running answers get after SIGTERM (default: 30)" },
    };
    const struct cli_syntax syntax = {
        "serve [MODEL...]",
        "Serves the OpenAI v1 and Foundry Local REST APIs over HTTP.",
        "  cupola serve pocket\n"
        "  cupola serve --port 0 --models-dir ~/models phi-4-mini\n"
        "  curl http://127.0.0.1:5272/v1/chat/completions -d "
        "'{\"model\":\"pocket\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}'\n",
        options,
        COUNT(options),
        0,
        -1
    };
    struct cli_args args;
    struct err err = { 0 };
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    if (ready_fd >= 0 && fcntl((int)ready_fd, F_GETFD) < 0)
        return cli_usage("--ready-fd: %d is not open", (int)ready_fd);
    for (size_t i = 0; i < dirs.n; i++)
        if (!os_is_dir(dirs.items[i])) {
            FAIL(&err, ST_NOT_FOUND, "--models-dir: %s: no such folder", dirs.items[i]);
            return cli_fail(&err);
        }
    cfg.port = (int)port;
    cfg.models = args.positional;
    cfg.n_models = (size_t)args.n;
    cfg.models_dirs = dirs.items;
    cfg.n_models_dirs = dirs.n;
    cfg.allow_origins = origins.items;
    cfg.n_allow_origins = origins.n;
    cfg.allow_hosts = hosts.items;
    cfg.n_allow_hosts = hosts.n;
    cfg.engine = cli_engine_config(&args.common);
    cfg.engine.context_max = context;
    cfg.engine.batch_max = (int)batch;
    cfg.engine.kv_tokens_max = kv_tokens;
    return serve(&cfg, ready_fd);
}
