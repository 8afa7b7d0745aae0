/* SPDX-License-Identifier: MIT */
/* The child beside bench --tokenizer: one line asks (verb, folder, text, parted by tabs), one line
 * answers ("seconds count", or "- why not"). */
#include "cli/bench_tokenizer.h"
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct reference {
    pid_t pid;
    FILE *to, *from;
    char about[256];
};

char *reference_script(void)
{
    static const char *const places[] = { "tools", "../share/cupola/tools", "../tools",
                                          "../../tools", "../../../tools" };
    char *exe = os_executable_dir(), *found = NULL;

    for (size_t i = 0; exe && i < COUNT(places) && !found; i++) {
        char *dir = os_path_join(exe, places[i]);
        found = dir ? os_path_join(dir, "bench_tokenizers.py") : NULL;
        if (found && !os_is_file(found)) {
            mem_free(found);
            found = NULL;
        }
        mem_free(dir);
    }
    mem_free(exe);
    return found;
}

static bool read_line(struct reference *r, char *line, size_t cap)
{
    if (!fgets(line, (int)cap, r->from)) return false;
    line[strcspn(line, "\n")] = 0;
    return true;
}

/* The child's ends of the pipes become its stdin and stdout. */
static bool spawn(struct reference *r, const char *python, const char *script, int in[2],
                  int out[2])
{
    posix_spawn_file_actions_t actions;
    char *argv[] = { (char *)(uintptr_t)python, (char *)(uintptr_t)script, NULL };

    if (posix_spawn_file_actions_init(&actions) != 0) return false;
    bool ok = posix_spawn_file_actions_adddup2(&actions, in[0], 0) == 0 &&
              posix_spawn_file_actions_adddup2(&actions, out[1], 1) == 0;
    for (int i = 0; i < 2; i++)
        ok = ok && posix_spawn_file_actions_addclose(&actions, in[i]) == 0 &&
             posix_spawn_file_actions_addclose(&actions, out[i]) == 0;
    ok = ok && posix_spawnp(&r->pid, python, &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    return ok;
}

struct reference *reference_start(const char *python, const char *script)
{
    struct reference *r = mem_calloc(1, sizeof *r);
    int in[2], out[2];

    if (!r) return NULL;
    if (pipe(in) != 0) {
        mem_free(r);
        return NULL;
    }
    if (pipe(out) != 0) {
        close(in[0]);
        close(in[1]);
        mem_free(r);
        return NULL;
    }
    const bool started = spawn(r, python, script, in, out);
    close(in[0]);
    close(out[1]);
    r->to = fdopen(in[1], "w");
    r->from = fdopen(out[0], "r");
    if (!started) r->pid = 0;
    if (started && r->to && r->from && read_line(r, r->about, sizeof r->about)) return r;
    reference_stop(r);
    return NULL;
}

void reference_stop(struct reference *r)
{
    if (!r) return;
    if (r->to) fclose(r->to); /* the end of its input ends it */
    if (r->from) fclose(r->from);
    while (r->pid > 0 && waitpid(r->pid, NULL, 0) < 0 && errno == EINTR) continue;
    mem_free(r);
}

const char *reference_about(const struct reference *r) { return r->about; }

bool reference_ask(struct reference *r, const char *verb, const char *dir, const char *text,
                   struct reference_answer *out)
{
    char line[256];

    *out = (struct reference_answer){ .seconds = -1 };
    if (fprintf(r->to, "%s\t%s\t%s\n", verb, dir, text) < 0 || fflush(r->to) != 0) return false;
    if (!read_line(r, line, sizeof line)) return false;
    if (line[0] == '-') {
        snprintf(out->note, sizeof out->note, "%s", line + strspn(line, "- "));
        return true;
    }
    return sscanf(line, "%lf %lf", &out->seconds, &out->count) == 2;
}
