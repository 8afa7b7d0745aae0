/* SPDX-License-Identifier: MIT */
/* Option tables: parsing and help from the same rows. */
#include "cli/cli.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS_MAX = 48, HELP_COLUMN = 28 };

/* The command's own options, then those every command has. */
struct table {
    struct cli_option rows[OPTIONS_MAX];
    size_t n;
};

static const char *log_level;

static void build_table(struct table *t, const struct cli_syntax *syntax, struct cli_common *c)
{
    const struct cli_option common[] = {
        { "--threads", CLI_INT(0, 1024), &c->threads, "N",
          "threads of the CPU backend (default: one per CPU)" },
        { "--device", CLI_STRING, &c->device, "NAME", "auto, cpu, cuda or opencl (default: auto)" },
        { "--isa", CLI_STRING, &c->isa, "NAME",
          "cap of the CPU kernels: scalar, avx2, avx512, … (default: native)" },
        { "--precision", CLI_STRING, &c->precision, "P",
          "strict: block-quantised layers in fp32 whatever the file says" },
        { "--kv-dtype", CLI_STRING, &c->kv_dtype, "T",
          "KV cache type: f32, f16 or bf16 (default: the file's; what it quantises stays so)" },
        { "--dense", CLI_FLAG, &c->dense, NULL,
          "run the graph as it is, through the generic executor" },
        { "--progress", CLI_FLAG, &c->progress, NULL,
          "show progress even when stderr is no terminal" },
        { "--log-level", CLI_STRING, &log_level, "L",
          "error, warn, info, debug or trace (default: warn)" },
    };

    t->n = 0;
    for (size_t i = 0; i < syntax->n_options && t->n < OPTIONS_MAX; i++)
        t->rows[t->n++] = syntax->options[i];
    for (size_t i = 0; i < COUNT(common) && t->n < OPTIONS_MAX; i++) t->rows[t->n++] = common[i];
}

/* ---- help ---- */

static void print_help(const struct cli_syntax *syntax, const struct table *t)
{
    printf("usage: cupola %s [options]\n\n%s\n\noptions:\n", syntax->usage, syntax->summary);
    for (size_t i = 0; i < t->n; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", t->rows[i].name, t->rows[i].arg ? " " : "",
                 t->rows[i].arg ? t->rows[i].arg : "");
        printf("  %-*s %s\n", HELP_COLUMN - 3, left, t->rows[i].help);
    }
    printf("  %-*s %s\n", HELP_COLUMN - 3, "--help", "this text");
    if (syntax->examples) printf("\nexamples:\n%s", syntax->examples);
}

/* ---- errors ---- */

int cli_fail(const struct err *err)
{
    fprintf(stderr, "cupola: %s\n", err->text[0] ? err->text : status_text(err->code));
    return CLI_FAILED;
}

int cli_usage(const char *fmt, ...)
{
    va_list args;

    fputs("cupola: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs("\n", stderr);
    return CLI_USAGE;
}

/* ---- parsing ---- */

static const struct cli_option *find_option(const struct table *t, const char *arg, size_t n)
{
    for (size_t i = 0; i < t->n; i++)
        if (strlen(t->rows[i].name) == n && !memcmp(t->rows[i].name, arg, n)) return &t->rows[i];
    return NULL;
}

static int check_range(const struct cli_option *o, const char *value, double x)
{
    if (x >= o->min && x <= o->max) return CLI_DONE;
    if (isinf(o->max)) return cli_usage("%s: %s: expected %g or more", o->name, value, o->min);
    return cli_usage("%s: %s: expected %.10g to %.10g", o->name, value, o->min, o->max);
}

static int set_value(const struct cli_option *o, const char *value)
{
    struct cli_list *list = o->out;

    switch (o->kind) {
    case CLI_KIND_INT:
        if (!str_to_i64(value, o->out))
            return cli_usage("%s: '%s' is not an integer", o->name, value);
        return check_range(o, value, (double)*(const int64_t *)o->out);
    case CLI_KIND_DOUBLE:
        if (!str_to_double(value, o->out))
            return cli_usage("%s: '%s' is not a number", o->name, value);
        return check_range(o, value, *(const double *)o->out);
    case CLI_KIND_LIST:
        if (list->n == CLI_LIST_MAX)
            return cli_usage("%s: given more than %d times", o->name, CLI_LIST_MAX);
        list->items[list->n++] = value;
        return CLI_DONE;
    case CLI_KIND_STRING: *(const char **)o->out = value; return CLI_DONE;
    default: return CLI_DONE;
    }
}

/* Takes the option at argv[*i], and the value behind it. */
static int parse_option(const struct table *t, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *eq = strchr(arg, '=');
    const struct cli_option *o = find_option(t, arg, eq ? (size_t)(eq - arg) : strlen(arg));

    if (!o)
        return cli_usage("%s: no such option of '%s' (see cupola %s --help)", arg, argv[0],
                         argv[0]);
    if (o->kind == CLI_KIND_FLAG) {
        if (eq) return cli_usage("%s: takes no value", o->name);
        *(bool *)o->out = true;
        return CLI_DONE;
    }
    if (!eq && *i + 1 >= argc) return cli_usage("%s: wants a value %s", o->name, o->arg);
    return set_value(o, eq ? eq + 1 : argv[++*i]);
}

/* Whether the value (NULL: not given) is one of the words. */
static bool is_one_of(const char *value, const char *const *words)
{
    while (value && *words && !str_equal(value, *words)) words++;
    return !value || *words;
}

static int check_isa(const char *isa)
{
    struct str names = { 0 };
    struct err err = { 0 };
    const status st = isa ? engine_isa_print(isa, &names, &err) : ST_OK;

    str_fini(&names);
    return st == ST_OK ? CLI_DONE : cli_usage("--isa: %s", err.text);
}

static int check_common(const struct cli_common *c)
{
    static const char *const devices[] = { "auto", "cpu", "cuda", "opencl", NULL };
    static const char *const kv_dtypes[] = { "f32", "f16", "bf16", NULL };
    enum log_level level;

    if (!is_one_of(c->device, devices))
        return cli_usage("--device: '%s': expected auto, cpu, cuda or opencl", c->device);
    if (!is_one_of(c->kv_dtype, kv_dtypes))
        return cli_usage("--kv-dtype: '%s': expected f32, f16 or bf16", c->kv_dtype);
    if (log_level && !log_level_parse(log_level, &level))
        return cli_usage("--log-level: '%s' is not a level", log_level);
    if (log_level) log_configure(level, NULL, NULL);
    if (c->precision && !str_equal(c->precision, "strict"))
        return cli_usage("--precision: expected strict");
    return check_isa(c->isa);
}

int cli_parse(const struct cli_syntax *syntax, int argc, char **argv, struct cli_args *args)
{
    struct table t;
    bool only_positional = false;

    *args = (struct cli_args){ .positional = (const char **)argv + 1 };
    build_table(&t, syntax, &args->common);
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];

        if (only_positional || a[0] != '-' || a[1] == '\0') {
            argv[1 + args->n++] = argv[i]; /* 1 + n <= i: never ahead of what is read */
        } else if (str_equal(a, "--")) {
            only_positional = true;
        } else if (str_equal(a, "--help") || str_equal(a, "-h")) {
            print_help(syntax, &t);
            return -1;
        } else {
            const int rc = parse_option(&t, argc, argv, &i);
            if (rc != CLI_DONE) return rc;
        }
    }
    if (args->n < syntax->positional_min ||
        (syntax->positional_max >= 0 && args->n > syntax->positional_max))
        return cli_usage("usage: cupola %s [options] (see --help)", syntax->usage);
    return check_common(&args->common);
}
