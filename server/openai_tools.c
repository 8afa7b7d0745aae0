/* SPDX-License-Identifier: MIT */
/* `tools` and `tool_choice`, and the older `functions` and `function_call` in the same terms. */
#include "server/chat_parse_internal.h"
#include <stdio.h>
#include <string.h>

enum { PARAM_MAX = 96, FUNCTION_NAME_MAX = 64 };

static bool name_is_valid(const char *name)
{
    const size_t n = strlen(name);

    return n > 0 && n <= FUNCTION_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

/* A function's declaration: name, description, parameters. */
static bool check_function(struct chat_parse *p, const char *at, const struct jvalue *fn)
{
    char param[PARAM_MAX];

    if (!fn || fn->type != JVALUE_DICT) return chat_fail_type(p, at, "an object", fn);
    snprintf(param, sizeof param, "%.64s.name", at);
    const struct jvalue *name = chat_member(fn, "name");
    if (!name)
        return api_fail(p->error, FAULT_MISSING, param, "Missing required parameter: '%s'.", param);
    if (!chat_text(p, param, name)) return false;
    if (!name_is_valid(name->u.string.text))
        return api_fail(p->error, FAULT_VALUE, param,
                        "Invalid value for '%s': 1 to %d of a-z, A-Z, 0-9, '_', '-', '.'.", param,
                        FUNCTION_NAME_MAX);
    snprintf(param, sizeof param, "%.64s.description", at);
    const struct jvalue *text = chat_member(fn, "description");
    if (text && !chat_text(p, param, text)) return false;
    snprintf(param, sizeof param, "%.64s.parameters", at);
    const struct jvalue *schema = chat_member(fn, "parameters");
    if (schema && schema->type != JVALUE_DICT) return chat_fail_type(p, param, "an object", schema);
    return true;
}

static bool check_tool(struct chat_parse *p, const char *at, const struct jvalue *tool)
{
    char param[PARAM_MAX];

    if (tool->type != JVALUE_DICT) return chat_fail_type(p, at, "an object", tool);
    snprintf(param, sizeof param, "%.64s.type", at);
    const struct jvalue *type = chat_member(tool, "type");
    if (!type)
        return api_fail(p->error, FAULT_MISSING, param, "Missing required parameter: '%s'.", param);
    if (!chat_text(p, param, type)) return false;
    if (!str_equal(type->u.string.text, "function"))
        return api_fail(p->error, FAULT_UNSUPPORTED, param,
                        "Unsupported value for '%s': '%.64s' (only 'function' is supported).",
                        param, type->u.string.text);
    snprintf(param, sizeof param, "%.64s.function", at);
    return check_function(p, param, chat_member(tool, "function"));
}

static bool check_list(struct chat_parse *p, const char *key, const struct jvalue *list)
{
    if (list->type != JVALUE_LIST) return chat_fail_type(p, key, "an array", list);
    if (list->u.list.n > CHAT_TOOLS_MAX)
        return api_fail(p->error, FAULT_VALUE, key, "Invalid value for '%s': %zu, at most %d.", key,
                        list->u.list.n, CHAT_TOOLS_MAX);
    return true;
}

static bool parse_tools(struct chat_parse *p, const struct jvalue *body)
{
    struct jvalue *v = jvalue_get(body, "tools");

    if (!chat_member(body, "tools")) return true;
    if (!check_list(p, "tools", v)) return false;
    for (size_t i = 0; i < v->u.list.n; i++) {
        char at[PARAM_MAX];
        snprintf(at, sizeof at, "tools[%zu]", i);
        if (!check_tool(p, at, v->u.list.items[i])) return false;
    }
    if (v->u.list.n > 0) p->out->tools = v;
    return true;
}

/* `functions`: each becomes {"type": "function", "function": …}. */
static bool parse_functions(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "functions");

    if (!v) return true;
    if (!check_list(p, "functions", v)) return false;
    if (v->u.list.n == 0) return true;
    if (p->out->tools)
        return api_fail(p->error, FAULT_VALUE, "functions",
                        "'functions' and 'tools' cannot be given together.");
    struct jvalue *list = jvalue_list(p->arena);
    for (size_t i = 0; i < v->u.list.n; i++) {
        char at[PARAM_MAX];
        struct jvalue *tool = jvalue_dict(p->arena);
        snprintf(at, sizeof at, "functions[%zu]", i);
        if (!check_function(p, at, v->u.list.items[i])) return false;
        if (!list || !tool ||
            !jvalue_set(p->arena, tool, "type", jvalue_string(p->arena, "function")) ||
            !jvalue_set(p->arena, tool, "function", v->u.list.items[i]) ||
            !jvalue_append(p->arena, list, tool))
            return chat_fail_memory(p);
    }
    p->out->tools = list;
    p->out->legacy_functions = true;
    return true;
}

static bool choose_by_word(struct chat_parse *p, const char *param, const char *word,
                           const struct jvalue *name)
{
    static const struct {
        const char *word;
        enum tool_choice choice;
    } words[] = { { "auto", TOOL_CHOICE_AUTO },
                  { "none", TOOL_CHOICE_NONE },
                  { "required", TOOL_CHOICE_REQUIRED } };

    for (size_t i = 0; i < COUNT(words); i++) {
        if (!str_equal(words[i].word, word)) continue;
        p->out->tool_choice = words[i].choice;
        return true;
    }
    return api_fail(p->error, FAULT_VALUE, param,
                    "Invalid value for '%s': '%.64s' (expected none, auto, required%s).", param,
                    word, name ? "" : " or a function");
}

static bool choose_by_name(struct chat_parse *p, const char *param, const struct jvalue *name)
{
    const char *text = chat_text(p, param, name);
    const struct jvalue *tools = p->out->tools;

    if (!text) return false;
    for (size_t i = 0; tools && i < tools->u.list.n; i++) {
        const struct jvalue *fn = jvalue_get(tools->u.list.items[i], "function");
        if (!str_equal(jvalue_get(fn, "name")->u.string.text, text)) continue;
        p->out->tool_choice = TOOL_CHOICE_NAMED;
        p->out->tool_name = text;
        return true;
    }
    return api_fail(p->error, FAULT_VALUE, param,
                    "Invalid value for '%s': no tool is named '%.64s'.", param, text);
}

/* "auto", …; {"type":"function","function":{"name":…}}; or {"type":"auto"|…|"function","name":…} as
 * Foundry's SDKs write. */
static bool parse_choice(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "tool_choice");

    if (!v) return true;
    if (v->type == JVALUE_STRING) return choose_by_word(p, "tool_choice", v->u.string.text, NULL);
    if (v->type != JVALUE_DICT) return chat_fail_type(p, "tool_choice", "a string or an object", v);
    const char *type = chat_text(p, "tool_choice.type", chat_member(v, "type"));
    if (!type) return false;
    if (!str_equal(type, "function")) return choose_by_word(p, "tool_choice.type", type, v);
    const struct jvalue *fn = chat_member(v, "function");
    if (fn && fn->type != JVALUE_DICT)
        return chat_fail_type(p, "tool_choice.function", "an object", fn);
    return choose_by_name(p, fn ? "tool_choice.function.name" : "tool_choice.name",
                          chat_member(fn ? fn : v, "name"));
}

static bool parse_function_call(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "function_call");

    if (!v) return true;
    if (v->type == JVALUE_STRING) return choose_by_word(p, "function_call", v->u.string.text, NULL);
    if (v->type != JVALUE_DICT)
        return chat_fail_type(p, "function_call", "a string or an object", v);
    return choose_by_name(p, "function_call.name", chat_member(v, "name"));
}

bool chat_parse_tools(struct chat_parse *p, const struct jvalue *body)
{
    if (!parse_tools(p, body) || !parse_functions(p, body) || !parse_choice(p, body) ||
        !parse_function_call(p, body))
        return false;
    if (p->out->tool_choice == TOOL_CHOICE_REQUIRED && !p->out->tools)
        return api_fail(p->error, FAULT_VALUE, "tool_choice",
                        "'tool_choice' is only allowed when 'tools' are specified.");
    return true;
}
