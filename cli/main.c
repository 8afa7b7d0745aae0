/* SPDX-License-Identifier: MIT */
/* cupola: the table of commands. */
#include "cli/cli.h"
#include "cupola_version.h"
#include <stdio.h>

struct command {
    const char *name;
    cli_command_fn *run;
    const char *summary;
};

static const struct command commands[] = {
    { "run", cmd_run, "answer a prompt, or hold a conversation" },
    { "serve", cmd_serve, "serve the OpenAI and Foundry Local APIs over HTTP" },
    { "embed", cmd_embed, "embeddings of texts" },
    { "tokenize", cmd_tokenize, "text to token ids" },
    { "detokenize", cmd_detokenize, "token ids to text" },
    { "template", cmd_template, "render a chat template" },
    { "logits", cmd_logits, "run token ids through a decoder" },
    { "verify", cmd_verify, "check model folders against their golden.json" },
    { "exec", cmd_exec, "run any ONNX model on tensors" },
    { "graph", cmd_graph, "print a model's graph, before or after any pass" },
    { "kernels", cmd_kernels, "list kernel slots and variants, and what is picked here" },
    { "bench", cmd_bench, "measure prefill and decode beside the machine's roofline" },
    { "doctor", cmd_doctor, "what this machine offers" },
};

static void print_usage(FILE *to)
{
    fputs("usage: cupola COMMAND [options]\n\ncommands:\n", to);
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`cupola COMMAND --help` shows a command's options and examples.\n"
          "\nstart here:\n"
          "  cupola run pocket \"What is 17 + 25?\"      ask the bundled model\n"
          "  cupola serve pocket                        serve it on http://127.0.0.1:5272\n"
          "  cupola doctor                              see what the machine offers\n",
          to);
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    if (str_equal(argv[1], "--help") || str_equal(argv[1], "-h") || str_equal(argv[1], "help")) {
        print_usage(stdout);
        return CLI_DONE;
    }
    if (str_equal(argv[1], "--version") || str_equal(argv[1], "version")) {
        printf("cupola %s (%s)\n", CUPOLA_VERSION, CUPOLA_COMMIT);
        return CLI_DONE;
    }
    for (size_t i = 0; i < COUNT(commands); i++)
        if (str_equal(argv[1], commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    return cli_usage("%s: no such command (see cupola --help)", argv[1]);
}

int main(int argc, char **argv)
{
    const int rc = run_command(argc, argv);

    /* What was printed without a look at the result: a full disk is seen at the latest here. */
    if (rc == CLI_DONE && (fflush(stdout) != 0 || ferror(stdout))) {
        fputs("cupola: stdout: cannot be written\n", stderr);
        return CLI_FAILED;
    }
    return rc;
}
