/* SPDX-License-Identifier: MIT */
/* MODEL of the command line: a path, a bundled model, or a name known to the default model folders.
 */
#include "models/models.h"
#include <stdlib.h>
#include <string.h>

/* A plain name: it may be looked up beneath folders of ours. */
static bool resolve_is_name(const char *model)
{
    return *model && *model != '.' && !strchr(model, '/') && !strchr(model, '\\');
}

/* a/b/c if that is a folder or file, else NULL. */
static char *resolve_probe(const char *a, const char *b, const char *c)
{
    char *ab = os_path_join(a, b);
    char *path = ab ? os_path_join(ab, c) : NULL;

    mem_free(ab);
    if (path && (os_is_dir(path) || os_is_file(path))) return path;
    mem_free(path);
    return NULL;
}

/* Beside the executable (installed), and up to three folders above it (a build folder in the source
 * tree). */
static char *resolve_bundled(const char *model)
{
    static const char *const places[] = { "models", "../share/cupola/models", "../models",
                                          "../../models", "../../../models" };
    const bool below = str_starts(model, "models/");
    char *exe = os_executable_dir();
    char *found = NULL;

    if (below) model += strlen("models/");
    for (size_t i = 0; exe && resolve_is_name(model) && i < COUNT(places) && !found; i++)
        found = resolve_probe(exe, places[i], model);
    mem_free(exe);
    return found;
}

static status resolve_in_dir(const char *dir, const char *model, char **path, struct err *err)
{
    struct model_store *store;

    TRY(model_store_open(&store, &dir, 1, err));
    const struct store_entry *e = model_store_find(store, model);
    status st = ST_OK;
    if (e && !(*path = mem_strdup(e->path))) st = FAIL(err, ST_NOMEM, "%s: out of memory", model);
    model_store_close(store);
    return st;
}

static status resolve_in_home(const char *model, char **path, struct err *err)
{
    static const char *const dirs[] = { ".cupola/models", ".foundry/cache/models" };
    const char *home = os_env("HOME");

    for (size_t i = 0; home && *home && i < COUNT(dirs) && !*path; i++) {
        char *dir = os_path_join(home, dirs[i]);
        if (!dir) return FAIL(err, ST_NOMEM, "%s: out of memory", model);
        const status st = os_is_dir(dir) ? resolve_in_dir(dir, model, path, err) : ST_OK;
        mem_free(dir);
        TRY(st);
    }
    return ST_OK;
}

status model_resolve(const char *model, char **path, struct err *err)
{
    *path = NULL;
    if (os_is_dir(model) || os_is_file(model)) {
        *path = mem_strdup(model);
        return *path ? ST_OK : FAIL(err, ST_NOMEM, "%s: out of memory", model);
    }
    *path = resolve_bundled(model);
    if (*path) return ST_OK;
    TRY(resolve_in_home(model, path, err));
    if (*path) return ST_OK;
    return FAIL(err, ST_NOT_FOUND,
                "%s: no such folder or file, and no bundled or cached model of that name", model);
}
