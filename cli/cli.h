/* SPDX-License-Identifier: MIT */
/* cli/: the subcommands of `cupola`. One file per command (cmd_<name>.c), one table of commands
 * (main.c), one table of options per command. */
#pragma once
#include "base/base.h"
#include "engine/engine.h"
#include "models/models.h"
#include "tokenizer/tokenizer.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* ---- options ---- */

enum cli_kind {
    CLI_KIND_FLAG,
    CLI_KIND_INT,
    CLI_KIND_DOUBLE,
    CLI_KIND_STRING,
    CLI_KIND_LIST,
};

/* Kinds in an option's row, a number's with the range that it must lie in. */
#define CLI_FLAG             CLI_KIND_FLAG, 0, 0
#define CLI_INT(min, max)    CLI_KIND_INT, min, max
#define CLI_DOUBLE(min, max) CLI_KIND_DOUBLE, min, max
#define CLI_STRING           CLI_KIND_STRING, 0, 0
#define CLI_LIST             CLI_KIND_LIST, 0, 0

enum { CLI_LIST_MAX = 64 };

struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t n;
};

/* One option: where its value goes (bool, int64_t, double, const char *, struct cli_list) and how
 * help shows it. */
struct cli_option {
    const char *name; /* "--max-tokens" */
    enum cli_kind kind;
    double min, max; /* of a number */
    void *out;
    const char *arg; /* "N" in help; NULL for flags */
    const char *help;
};

/* What a command takes, for parsing and for --help. */
struct cli_syntax {
    const char *usage;    /* "run MODEL [PROMPT]" */
    const char *summary;  /* one sentence */
    const char *examples; /* lines, indented by two */
    const struct cli_option *options;
    size_t n_options;
    int positional_min, positional_max; /* max < 0: any number */
};

/* Options every command has, parsed with the rest. */
struct cli_common {
    int64_t threads;
    const char *device, *isa, *precision, *kv_dtype;
    bool progress, dense;
};

struct cli_args {
    struct cli_common common;
    const char **positional; /* points into argv */
    int n;
};

/* Parses argv[1..] of a command. Returns CLI_DONE to go on; CLI_USAGE after an error was printed;
 * -1 after --help was printed (exit 0). Options may stand anywhere; "--" ends them; "--name=value"
 * and "--name value" are the same. */
int cli_parse(const struct cli_syntax *syntax, int argc, char **argv, struct cli_args *args);

/* "cupola: WHERE: WHAT" on stderr; returns CLI_FAILED. */
int cli_fail(const struct err *err);
/* A usage error of the caller's own making; returns CLI_USAGE. */
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- models ---- */

/* Engine configuration from the common options, with a progress line on stderr when it is a
 * terminal or --progress was given. */
struct engine_config cli_engine_config(const struct cli_common *common);
/* MODEL of the command line to an open folder; model_folder_fini. */
status cli_open_folder(const char *model, struct model_folder *out, struct err *err);
/* Folder and engine in one; on success the caller closes both. */
status cli_open_engine(const char *model, const struct engine_config *cfg,
                       struct model_folder *folder, struct engine **out, struct err *err);

/* The folder of MODEL, which may be given as its .onnx file; the caller frees it. */
status cli_find_folder(const char *model, char **dir, struct err *err);
/* The tokenizer of MODEL, which may be a folder of tokenizer files alone; tokenizer_close. */
status cli_open_tokenizer(const char *model, struct tokenizer **out, struct err *err);

/* Draws a bar on stderr, at most ten times a second; wiped when fraction reaches 1. Fits
 * engine_progress_fn. */
void cli_progress(void *user, const char *what, double fraction);

/* ---- input and output ---- */

/* The next line of stdin without its newline; false at the end. `line` is cleared first. At most 64
 * MiB a line: then *err is filled. */
bool cli_read_line(struct str *line, struct err *err);
/* All of stdin. */
status cli_read_stdin(struct str *out, struct err *err);
/* To stdout, at once. */
status cli_put(const char *text, size_t n, struct err *err);
/* The same, a newline behind it. */
status cli_put_line(const struct str *line, struct err *err);

/* ---- commands: argv[0] is the command's name ---- */

typedef int cli_command_fn(int argc, char **argv);

cli_command_fn cmd_run, cmd_serve, cmd_tokenize, cmd_detokenize, cmd_template, cmd_logits,
    cmd_embed, cmd_verify, cmd_exec, cmd_graph, cmd_kernels, cmd_bench, cmd_doctor;
