/* SPDX-License-Identifier: MIT */
/* Answers one prompt, word by word:
 *     cc chat.c -o chat $(pkg-config --cflags --libs cupola)
 *     ./chat models/pocket "What is 17 + 25?" */
#include <cupola.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TOKENS_MAX = 512, STOP_IDS_MAX = 32 };

static struct cupola_error error;

static void check(int32_t status)
{
    if (status == CUPOLA_OK) return;
    fprintf(stderr, "chat: %s\n", error.text);
    exit(1);
}

/* The prompt as a JSON string: quotes, backslashes and control characters escaped. */
static char *make_messages(const char *prompt)
{
    static const char head[] = "[{\"role\": \"user\", \"content\": \"", tail[] = "\"}]";
    char *json = malloc(sizeof head + 6 * strlen(prompt) + sizeof tail), *at = json;

    if (!json) exit(1);
    at += sprintf(at, "%s", head);
    for (const char *c = prompt; *c; c++) {
        if (*c == '"' || *c == '\\')
            at += sprintf(at, "\\%c", *c);
        else if ((unsigned char)*c < 32)
            at += sprintf(at, "\\u%04x", (unsigned)*c);
        else
            *at++ = *c;
    }
    strcpy(at, tail);
    return json;
}

/* Template, tokens, and the prompt through the model. */
static void feed_prompt(struct cupola_session *session, struct cupola_sampler *sampler,
                        const struct cupola_tokenizer *tokenizer, const char *prompt)
{
    char *messages = make_messages(prompt), *text;
    const struct cupola_chat chat = { .size = sizeof chat, .messages = messages };
    int32_t *ids;
    size_t n_bytes, n;

    check(cupola_chat_render(tokenizer, &chat, &text, &n_bytes, &error));
    check(
        cupola_tokenizer_encode(tokenizer, text, n_bytes, CUPOLA_PARSE_SPECIAL, &ids, &n, &error));
    check(cupola_session_feed(session, ids, n, &error));
    check(cupola_sampler_see(sampler, ids, n, &error));
    cupola_free(ids);
    cupola_free(text);
    free(messages);
}

static int is_stop(int32_t id, const int32_t *stops, size_t n)
{
    for (size_t i = 0; i < n && i < STOP_IDS_MAX; i++)
        if (stops[i] == id) return 1;
    return 0;
}

static void answer(struct cupola_model *model, const char *prompt)
{
    struct cupola_tokenizer *tokenizer = cupola_model_tokenizer(model);
    struct cupola_sampling sampling = { .size = sizeof sampling };
    struct cupola_model_info info = { .size = sizeof info };
    int32_t stops[STOP_IDS_MAX], id;
    const size_t n_stops = cupola_model_stop_ids(model, stops, STOP_IDS_MAX);
    struct cupola_session *session;
    struct cupola_sampler *sampler;
    struct cupola_stream *stream;
    const char *text;

    check(cupola_model_info(model, &info, &error));
    check(cupola_model_sampling(model, &sampling, &error));
    check(cupola_session_create(&session, model, &error));
    check(cupola_sampler_create(&sampler, info.vocab_size, &sampling, &error));
    check(cupola_stream_create(&stream, tokenizer, CUPOLA_SKIP_SPECIAL, &error));
    feed_prompt(session, sampler, tokenizer, prompt);
    for (int i = 0; i < ANSWER_TOKENS_MAX; i++) {
        check(cupola_session_sample(session, sampler, &id, NULL, &error));
        if (is_stop(id, stops, n_stops)) break;
        check(cupola_stream_push(stream, id, &text, NULL, &error));
        fputs(text, stdout);
        fflush(stdout);
        check(cupola_session_feed(session, &id, 1, &error));
    }
    check(cupola_stream_finish(stream, &text, NULL, &error));
    puts(text);
    cupola_stream_destroy(stream);
    cupola_sampler_destroy(sampler);
    cupola_session_destroy(session);
}

int main(int argc, char **argv)
{
    struct cupola_model *model;

    if (argc != 3) {
        fprintf(stderr, "usage: chat MODEL_FOLDER PROMPT\n");
        return 2;
    }
    check(cupola_model_open(&model, argv[1], NULL, &error));
    answer(model, argv[2]);
    cupola_model_close(model);
    return 0;
}
