/* SPDX-License-Identifier: MIT */
/* A conversation to a prompt: the context that transformers' apply_chat_template gives to a
 * template. */
#include "tokenizer/chat_cache.h"
#include "tokenizer/tok_internal.h"
#include "tokenizer/tmpl.h"
#include <string.h>

enum { CONTEXT_MAX = 64 << 20 };

/* "default", or "tool_use" where there is one and tools are given. */
static const struct tok_template *choose(const struct tokenizer *tok,
                                         const struct chat_input *input)
{
    const char *name = input->template_name;
    const struct tok_template *unnamed = NULL;

    if (name && str_equal(name, "default")) name = NULL;
    for (size_t i = 0; i < tok->n_templates; i++) {
        const struct tok_template *t = &tok->templates[i];

        if (!t->name)
            unnamed = t;
        else if (name && str_equal(t->name, name))
            return t;
        else if (!name && !input->template_name && input->tools &&
                 input->tools->type != JVALUE_NONE && str_equal(t->name, "tool_use"))
            return t;
    }
    return name ? NULL : unnamed;
}

/* The first of the fields in which clients send reasoning that is not none. */
static struct jvalue *reasoning_of(const struct jvalue *message)
{
    static const char *const fields[] = { "reasoning_content", "thinking", "reasoning" };

    for (size_t i = 0; i < COUNT(fields); i++) {
        struct jvalue *v = jvalue_get(message, fields[i]);
        if (v && v->type != JVALUE_NONE) return v;
    }
    return NULL;
}

/* A message that carries reasoning gets it under the names that templates read. */
static struct jvalue *alias_reasoning(struct arena *a, struct jvalue *message)
{
    struct jvalue *reasoning = message->type == JVALUE_DICT ? reasoning_of(message) : NULL, *copy;

    if (!reasoning) return message;
    if (!(copy = jvalue_dict(a))) return NULL;
    for (size_t i = 0; i < message->u.dict.n; i++) {
        const struct jvalue_pair *p = &message->u.dict.pairs[i];
        if (!jvalue_set_n(a, copy, p->key, p->key_n, p->value)) return NULL;
    }
    if (!jvalue_set(a, copy, "reasoning_content", reasoning)) return NULL;
    const struct jvalue *thinking = jvalue_get(copy, "thinking");
    if (!thinking && !jvalue_set(a, copy, "thinking", reasoning)) return NULL;
    return copy;
}

static struct jvalue *messages_for(struct arena *a, const struct jvalue *messages)
{
    struct jvalue *list = jvalue_list(a);

    for (size_t i = 0; list && messages && messages->type == JVALUE_LIST && i < messages->u.list.n;
         i++)
        if (!jvalue_append(a, list, alias_reasoning(a, messages->u.list.items[i]))) return NULL;
    return list;
}

static bool set_borrowed(struct arena *a, struct jvalue *context, const char *key,
                         const struct jvalue *v)
{
    struct jvalue *copy = ARENA_NEW(a, struct jvalue);

    if (!copy) return false;
    if (v) *copy = *v;
    return jvalue_set(a, context, key, copy); /* a zeroed value is none */
}

static struct jvalue *build_context(const struct tokenizer *tok, const struct chat_input *input,
                                    struct arena *a)
{
    struct jvalue *context = jvalue_dict(a);
    bool ok = context != NULL;

    for (size_t i = 0; ok && tok && i < TOK_SPECIALS; i++)
        if (tok->specials[i].text)
            ok = jvalue_set(a, context, tok_special_name(i),
                            jvalue_string(a, tok->specials[i].text));
    ok = ok && jvalue_set(a, context, "messages", messages_for(a, input->messages));
    ok = ok && set_borrowed(a, context, "tools", input->tools) &&
         set_borrowed(a, context, "documents", input->documents);
    ok = ok && jvalue_set(a, context, "add_generation_prompt",
                          jvalue_bool(a, input->add_generation_prompt));
    if (input->kwargs && input->kwargs->type == JVALUE_DICT)
        for (size_t i = 0; ok && i < input->kwargs->u.dict.n; i++) {
            const struct jvalue_pair *p = &input->kwargs->u.dict.pairs[i];
            ok = jvalue_set_n(a, context, p->key, p->key_n, p->value);
        }
    return ok ? context : NULL;
}

status chat_render_template(const struct chat_template *tmpl, const struct tokenizer *tok,
                            const struct chat_input *input, struct str *out, struct err *err)
{
    struct template_options options = { .now = input->now };
    struct arena a;
    status st;

    arena_init(&a, CONTEXT_MAX);
    const struct jvalue *context = build_context(tok, input, &a);
    if (context)
        st = chat_template_render_at(tmpl, context, &options, out, err);
    else
        st = FAIL(err, tmpl_arena_failure(&a), "chat: no room for the conversation");
    arena_fini(&a);
    return st;
}

status chat_render(const struct tokenizer *tok, const struct chat_input *input, struct str *out,
                   struct err *err)
{
    const struct tok_template *t = choose(tok, input);
    const struct chat_template *compiled;

    if (!t)
        return FAIL(err, ST_NOT_FOUND, "chat: the model has no chat template%s%s",
                    input->template_name ? " named " : "",
                    input->template_name ? input->template_name : "");
    TRY(chat_cache_get(tok->chat, (size_t)(t - tok->templates), t->source, t->n, &compiled, err));
    return chat_render_template(compiled, tok, input, out, err);
}
