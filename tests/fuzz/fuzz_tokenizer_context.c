/* SPDX-License-Identifier: MIT */
/* A conversation from outside, as JSON, in templates like those of models: rendering ends in a
 * text that is UTF-8 or in an error. */
#include "tests/fuzz/fuzz.h"
#include "tokenizer/tokenizer.h"
#include <string.h>

static const char *const sources[] = {
    "{%- if tools %}{{ tools | map(attribute='function') | list | tojson(indent=2) }}{% endif %}"
    "{%- for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{%- if message.content is string %}{{ message.content | trim }}"
    "{%- elif message.content is iterable %}{% for part in message.content %}"
    "{{ part.text if part.type == 'text' else '<image>' }}{% endfor %}{% endif %}"
    "{%- for call in message.tool_calls or [] %}{{ call.function.arguments | tojson }}{% endfor %}"
    "{%- if not loop.last and loop.nextitem.role == message.role %}"
    "{{ raise_exception('roles: ' ~ loop.index0) }}{% endif %}{%- endfor %}",
    "{% set ns = namespace(n=0, last=none) %}{% for m in messages[::-1] %}"
    "{% if m.role == 'user' and ns.last is none %}{% set ns.last = loop.index0 %}{% endif %}"
    "{% set ns.n = ns.n + (m.content | length) %}{% endfor %}{{ ns.n }}|{{ ns.last }}|"
    "{{ messages | selectattr('role', 'equalto', 'tool') | map(attribute='content') | join(', ') "
    "}}|"
    "{% for k, v in (messages | first).items() | sort %}{{ k ~ '=' ~ v }};{% endfor %}",
    "{{ messages }}|{{ messages | string | upper | replace('A', 'b') }}|{{ messages[0] == "
    "messages[-1] }}"
    "|{{ '%s %r' | format(messages, messages) }}|{{ messages | unique | list }}|"
    "{{ messages | groupby('role') | list }}|{{ messages | sum(attribute='n') }}",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct template_options options = { .limits = { 200000, 50, 1 << 20, 8 << 20 }, .now = 1 };

    for (size_t i = 0; i < COUNT(sources); i++) {
        struct chat_template *t = NULL;
        struct jvalue *context = NULL;
        struct str out = { 0 };
        struct arena a;

        arena_init(&a, 16 << 20);
        if (chat_template_compile(&t, sources[i], strlen(sources[i]), NULL) != ST_OK)
            __builtin_trap();
        if (jvalue_parse(&a, (const char *)data, n, &context, NULL) == ST_OK &&
            context->type == JVALUE_DICT &&
            chat_template_render_at(t, context, &options, &out, NULL) == ST_OK &&
            !utf8_valid(str_cstr(&out), out.len))
            __builtin_trap();
        chat_template_destroy(t);
        str_fini(&out);
        arena_fini(&a);
    }
    return 0;
}
