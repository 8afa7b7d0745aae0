/* SPDX-License-Identifier: MIT */
/* What the service knows of its models without loading them: the ones named at the start, then the
 * ones below the model folders; and the rule by which a name finds one. */
#pragma once
#include "base/base.h"

struct model_entry {
    const char *id, *alias, *path;
    uint64_t bytes;         /* on disk */
    int64_t context_length; /* of an embedding model: of its texts; 0: not said */
    int64_t created;        /* seconds since the epoch */
    bool tools;             /* its chat template teaches <tool_call> */
    bool embeds;            /* it gives embeddings only */
};

struct model_list {
    struct model_entry *entries; /* [n], in the arena */
    size_t n, cap;
    size_t n_named; /* the first of them were named at the start */
};

/* Where models come from: MODELs that are known from the start (paths or names), and folders of
 * model folders. */
struct model_sources {
    const char *const *models, *const *dirs;
    size_t n_models, n_dirs;
};

/* Reads all entries into the arena. One of `models` that is no model is an error; a folder below
 * `dirs` that is none is passed over. A model found twice (same path) is one entry; a second model
 * with the same id gets a number behind. */
status model_list_read(struct model_list *list, const struct model_sources *from, struct arena *a,
                       struct err *err);
void model_list_fini(struct model_list *list);
/* Index of the entry that `name` means, or list->n. First an id or alias that is equal (ASCII case
 * does not count); with ":version" behind the name only that version of it, as foundry_id_split
 * says it; without, the highest of the ids that have a "-version" more. */
size_t model_list_find(const struct model_list *list, const char *name);
