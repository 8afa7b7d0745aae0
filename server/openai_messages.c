/* SPDX-License-Identifier: MIT */
/* `messages`: from what clients send to what chat templates expect. Content parts become one
 * string, arguments of earlier tool calls become dicts, "developer" becomes "system" and "function"
 * becomes "tool". */
#include "server/chat_parse_internal.h"
#include <stdio.h>
#include <string.h>

enum { PARAM_MAX = 96 };

/* Sets a member of the dict being built. */
static bool put(struct chat_parse *p, struct jvalue *dict, const char *key, struct jvalue *value)
{
    return jvalue_set(p->arena, dict, key, value) || chat_fail_memory(p);
}

/* ---- content ---- */

static bool part_text(struct chat_parse *p, const char *param, const struct jvalue *part,
                      struct str *out)
{
    char inner[PARAM_MAX];

    if (part->type != JVALUE_DICT) return chat_fail_type(p, param, "an object", part);
    snprintf(inner, sizeof inner, "%.80s.type", param);
    const char *type = chat_text(p, inner, chat_member(part, "type"));
    if (!type) return false;
    const bool refusal = str_equal(type, "refusal");
    if (!refusal && !str_equal(type, "text") && !str_equal(type, "input_text"))
        return api_fail(p->error, FAULT_UNSUPPORTED, inner,
                        "Unsupported content part: type '%.64s' (this model takes text only).",
                        type);
    snprintf(inner, sizeof inner, "%.80s.%s", param, refusal ? "refusal" : "text");
    const struct jvalue *text = chat_member(part, refusal ? "refusal" : "text");
    if (!text || text->type != JVALUE_STRING) return chat_fail_type(p, inner, "a string", text);
    str_put_n(out, text->u.string.text, text->u.string.n);
    return true;
}

static bool join_parts(struct chat_parse *p, const char *param, const struct jvalue *list,
                       struct jvalue **out)
{
    struct str text = { 0 };
    bool ok = true;

    if (list->u.list.n == 0 || list->u.list.n > CHAT_PARTS_MAX)
        return api_fail(p->error, FAULT_VALUE, param,
                        "Invalid value for '%s': must have 1 to %d parts.", param, CHAT_PARTS_MAX);
    for (size_t i = 0; ok && i < list->u.list.n; i++) {
        char inner[PARAM_MAX];
        snprintf(inner, sizeof inner, "%.64s[%zu]", param, i);
        ok = part_text(p, inner, list->u.list.items[i], &text);
    }
    if (ok) *out = jvalue_string_n(p->arena, str_cstr(&text), text.len);
    if (ok && (text.failed || !*out)) ok = chat_fail_memory(p);
    str_fini(&text);
    return ok;
}

/* required: null and absence are errors; otherwise they become none. */
static bool parse_content(struct chat_parse *p, const char *at, const struct jvalue *msg,
                          bool required, struct jvalue *dict)
{
    char param[PARAM_MAX];
    struct jvalue *content = jvalue_get(msg, "content");

    snprintf(param, sizeof param, "%.64s.content", at);
    if (!content && required)
        return api_fail(p->error, FAULT_MISSING, param, "Missing required parameter: '%s'.", param);
    if (!content || (content->type == JVALUE_NONE && !required))
        return put(p, dict, "content", jvalue_none(p->arena));
    if (content->type == JVALUE_LIST) {
        if (!join_parts(p, param, content, &content)) return false;
    } else if (content->type != JVALUE_STRING) {
        return chat_fail_type(p, param, "a string or an array of content parts", content);
    }
    return put(p, dict, "content", content);
}

/* ---- tool calls of the assistant ---- */

/* Templates write arguments with tojson, so they want the value; text that is not JSON stays text.
 */
static struct jvalue *arguments_value(struct chat_parse *p, struct jvalue *arguments)
{
    struct jvalue *value = NULL;

    if (arguments->type != JVALUE_STRING) return arguments;
    if (jvalue_parse(p->arena, arguments->u.string.text, arguments->u.string.n, &value, NULL) !=
        ST_OK)
        return arguments;
    return value->type == JVALUE_DICT ? value : arguments;
}

/* {name, arguments} of `at`; used for tool_calls[i].function and for function_call. */
static bool parse_function(struct chat_parse *p, const char *at, const struct jvalue *fn,
                           struct jvalue **out)
{
    char param[PARAM_MAX];

    if (!fn || fn->type != JVALUE_DICT) return chat_fail_type(p, at, "an object", fn);
    snprintf(param, sizeof param, "%.80s.name", at);
    struct jvalue *name = jvalue_get(fn, "name");
    if (!chat_text(p, param, name)) return false;
    snprintf(param, sizeof param, "%.80s.arguments", at);
    struct jvalue *arguments = jvalue_get(fn, "arguments");
    if (!arguments) arguments = jvalue_string(p->arena, "{}");
    if (!arguments) return chat_fail_memory(p);
    if (arguments->type != JVALUE_STRING && arguments->type != JVALUE_DICT)
        return chat_fail_type(p, param, "a string of JSON", arguments);
    *out = jvalue_dict(p->arena);
    return *out ? put(p, *out, "name", name) &&
                      put(p, *out, "arguments", arguments_value(p, arguments))
                : chat_fail_memory(p);
}

static bool add_call(struct chat_parse *p, struct jvalue *list, struct jvalue *id,
                     struct jvalue *function)
{
    struct jvalue *call = jvalue_dict(p->arena);

    if (!call) return chat_fail_memory(p);
    if (id && !put(p, call, "id", id)) return false;
    return put(p, call, "type", jvalue_string(p->arena, "function")) &&
           put(p, call, "function", function) &&
           (jvalue_append(p->arena, list, call) || chat_fail_memory(p));
}

static bool parse_call(struct chat_parse *p, const char *at, const struct jvalue *call,
                       struct jvalue *list)
{
    char param[PARAM_MAX];
    struct jvalue *function = NULL;

    if (call->type != JVALUE_DICT) return chat_fail_type(p, at, "an object", call);
    const struct jvalue *type = chat_member(call, "type");
    snprintf(param, sizeof param, "%.80s.type", at);
    if (type && (!chat_text(p, param, type) || !str_equal(type->u.string.text, "function")))
        return api_fail(p->error, FAULT_UNSUPPORTED, param,
                        "Unsupported value for '%s': only 'function' is supported.", param);
    struct jvalue *id = jvalue_get(call, "id");
    snprintf(param, sizeof param, "%.80s.id", at);
    if (id && !chat_text(p, param, id)) return false;
    snprintf(param, sizeof param, "%.80s.function", at);
    return parse_function(p, param, chat_member(call, "function"), &function) &&
           add_call(p, list, id, function);
}

/* tool_calls, or the older function_call, of an assistant message. *n = how many. */
static bool parse_calls(struct chat_parse *p, const char *at, const struct jvalue *msg,
                        struct jvalue *dict, size_t *n)
{
    char param[PARAM_MAX];
    const struct jvalue *calls = chat_member(msg, "tool_calls");
    const struct jvalue *single = chat_member(msg, "function_call");
    struct jvalue *list = jvalue_list(p->arena), *function = NULL;

    if (!list) return chat_fail_memory(p);
    snprintf(param, sizeof param, "%.64s.tool_calls", at);
    if (calls && calls->type != JVALUE_LIST) return chat_fail_type(p, param, "an array", calls);
    if (calls && calls->u.list.n > CHAT_TOOLS_MAX)
        return api_fail(p->error, FAULT_VALUE, param, "Invalid value for '%s': more than %d calls.",
                        param, CHAT_TOOLS_MAX);
    for (size_t i = 0; calls && i < calls->u.list.n; i++) {
        snprintf(param, sizeof param, "%.48s.tool_calls[%zu]", at, i);
        if (!parse_call(p, param, calls->u.list.items[i], list)) return false;
    }
    snprintf(param, sizeof param, "%.64s.function_call", at);
    if (single &&
        (!parse_function(p, param, single, &function) || !add_call(p, list, NULL, function)))
        return false;
    *n = list->u.list.n;
    return *n == 0 || put(p, dict, "tool_calls", list);
}

/* ---- one message, all messages ---- */

static bool copy_text(struct chat_parse *p, const char *at, const struct jvalue *msg,
                      const char *key, bool required, struct jvalue *dict)
{
    char param[PARAM_MAX];
    struct jvalue *v = jvalue_get(msg, key);

    if (v && v->type == JVALUE_NONE) v = NULL;
    snprintf(param, sizeof param, "%.64s.%s", at, key);
    if (!v && required)
        return api_fail(p->error, FAULT_MISSING, param, "Missing required parameter: '%s'.", param);
    return !v || (chat_text(p, param, v) && put(p, dict, key, v));
}

static const struct role_row {
    const char *role, *as; /* what the template is told */
    bool content_required, id_required, name_required;
} roles[] = {
    { "system", "system", true, false, false }, { "developer", "system", true, false, false },
    { "user", "user", true, false, false },     { "assistant", "assistant", false, false, false },
    { "tool", "tool", true, true, false },      { "function", "tool", true, false, true },
};

static const struct role_row *role_find(const char *role)
{
    for (size_t i = 0; i < COUNT(roles); i++)
        if (str_equal(roles[i].role, role)) return &roles[i];
    return NULL;
}

static const struct role_row *parse_role(struct chat_parse *p, const char *at,
                                         const struct jvalue *msg)
{
    char param[PARAM_MAX];
    const struct jvalue *v = chat_member(msg, "role");

    snprintf(param, sizeof param, "%.64s.role", at);
    if (!v) {
        api_fail(p->error, FAULT_MISSING, param, "Missing required parameter: '%s'.", param);
        return NULL;
    }
    const char *role = chat_text(p, param, v);
    if (!role) return NULL;
    const struct role_row *row = role_find(role);
    if (!row)
        api_fail(p->error, FAULT_VALUE, param,
                 "Invalid value for '%s': '%.64s' (expected system, developer, user, assistant, "
                 "tool or function).",
                 param, role);
    return row;
}

static bool parse_message(struct chat_parse *p, const char *at, const struct jvalue *msg,
                          struct jvalue *list)
{
    char param[PARAM_MAX];
    size_t n_calls = 0;

    if (msg->type != JVALUE_DICT) return chat_fail_type(p, at, "an object", msg);
    const struct role_row *row = parse_role(p, at, msg);
    struct jvalue *dict = row ? jvalue_dict(p->arena) : NULL;
    if (!row) return false;
    if (!dict) return chat_fail_memory(p);
    if (!put(p, dict, "role", jvalue_string(p->arena, row->as)) ||
        !parse_content(p, at, msg, row->content_required, dict) ||
        !copy_text(p, at, msg, "name", row->name_required, dict) ||
        !copy_text(p, at, msg, "reasoning_content", false, dict))
        return false;
    if (str_equal(row->as, "tool") &&
        !copy_text(p, at, msg, "tool_call_id", row->id_required, dict))
        return false;
    if (str_equal(row->as, "assistant")) {
        if (!parse_calls(p, at, msg, dict, &n_calls)) return false;
        snprintf(param, sizeof param, "%.64s.content", at);
        if (n_calls == 0 && !chat_member(dict, "content"))
            return api_fail(p->error, FAULT_MISSING, param,
                            "Missing required parameter: '%s' (an assistant message has content "
                            "or tool_calls).",
                            param);
    }
    return jvalue_append(p->arena, list, dict) || chat_fail_memory(p);
}

bool chat_parse_messages(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "messages");
    struct jvalue *list = jvalue_list(p->arena);

    if (!list) return chat_fail_memory(p);
    if (!v)
        return api_fail(p->error, FAULT_MISSING, "messages",
                        "Missing required parameter: 'messages'.");
    if (v->type != JVALUE_LIST) return chat_fail_type(p, "messages", "an array", v);
    if (v->u.list.n == 0 || v->u.list.n > CHAT_MESSAGES_MAX)
        return api_fail(p->error, FAULT_VALUE, "messages",
                        "Invalid value for 'messages': must have 1 to %d messages, got %zu.",
                        CHAT_MESSAGES_MAX, v->u.list.n);
    for (size_t i = 0; i < v->u.list.n; i++) {
        char at[PARAM_MAX];
        snprintf(at, sizeof at, "messages[%zu]", i);
        if (!parse_message(p, at, v->u.list.items[i], list)) return false;
    }
    p->out->messages = list;
    return true;
}
