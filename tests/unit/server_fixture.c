/* SPDX-License-Identifier: MIT */
/* The helpers of server_fixture.h. */
#include "tests/unit/server_fixture.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

enum { READ_TIMEOUT_S = 30 };

/* ---- the model folder ---- */

static const char *const specials[FIXTURE_FIRST_BYTE_ID] = {
    "<|end|>",      "<|user|>", "<|assistant|>", "<tool_call>",
    "</tool_call>", "<|a|>",    "<|b|>",         "<|c|>",
};

static const char template[] =
    "{% if tools %}tools in <tool_call>: {{ tools | tojson }}\n{% endif %}"
    "{% for m in messages %}{% if m.content == 'refuse' %}{{ raise_exception('refused') }}{% endif "
    "%}"
    "<|user|>{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";

/* How byte-level vocabularies write a byte: printable ones as themselves, the others from U+0100
 * on. */
static int32_t byte_letter(int byte)
{
    int32_t next = 256;

    for (int b = 0; b < 256; b++) {
        const bool self = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte) return self ? b : next;
        if (!self) next++;
    }
    return -1;
}

static void put_vocab(struct str *out)
{
    for (int i = 0; i < FIXTURE_FIRST_BYTE_ID; i++)
        str_printf(out, "%s\"%s\":%d", i ? "," : "", specials[i], i);
    for (int b = 0; b < 256; b++) {
        char letter[8] = "";
        letter[utf8_encode(byte_letter(b), letter)] = '\0';
        str_put_char(out, ',');
        str_put_json(out, letter, strlen(letter));
        str_printf(out, ":%d", FIXTURE_FIRST_BYTE_ID + b);
    }
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[256];
    struct err err = { 0 };

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (os_write_file(path, text, strlen(text), &err) != ST_OK) fail_msg("%s", err.text);
}

static void write_model(const char *root, const char *name)
{
    struct str s = { 0 };
    char dir[128];

    snprintf(dir, sizeof dir, "%s/models/%s", root, name);
    if (mkdir(dir, 0700) != 0) fail_msg("%s", dir);
    str_put(&s, "{\"version\":\"1.0\",\"added_tokens\":[");
    for (int i = 0; i < FIXTURE_FIRST_BYTE_ID; i++)
        str_printf(
            &s,
            "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":"
            "false,\"normalized\":false,\"special\":true}",
            i ? "," : "", i, specials[i]);
    str_put(&s,
            "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":"
            "false,\"trim_offsets\":true,\"use_regex\":false},\"post_processor\":null,\"decoder\":{"
            "\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":"
            "false},\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
            "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
            "\"byte_fallback\":false,\"ignore_merges\":false,\"merges\":[],\"vocab\":{");
    put_vocab(&s);
    str_put(&s, "}}}");
    write_text(dir, "tokenizer.json", str_cstr(&s));
    str_clear(&s);
    str_put(&s, "{\"eos_token\":\"<|end|>\",\"tokenizer_class\":\"PreTrainedTokenizerFast\"}");
    write_text(dir, "tokenizer_config.json", str_cstr(&s));
    write_text(dir, "chat_template.jinja", template);
    write_text(dir, "model.onnx", "played by tests/unit/fake_engine.c");
    str_fini(&s);
}

/* ---- the server ---- */

void fixture_start(struct fixture *f, const struct server_config *cfg)
{
    struct server_config c = cfg ? *cfg : (struct server_config){ 0 };
    struct err err = { 0 };
    char dir[80], tiny[96];
    const char *const dirs[] = { dir }, *const models[] = { tiny };

    snprintf(f->dir, sizeof f->dir, "/tmp/cupola-server-XXXXXX");
    if (!mkdtemp(f->dir)) fail_msg("no temporary folder");
    snprintf(dir, sizeof dir, "%s/models", f->dir);
    snprintf(tiny, sizeof tiny, "%s/tiny", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    write_model(f->dir, "tiny");
    write_model(f->dir, "other");
    c.models = models;
    c.n_models = 1;
    c.models_dirs = dirs;
    c.n_models_dirs = 1;
    c.engine = engine_config_default();
    if (c.workers == 0) c.workers = 2;
    fake_script = (struct fake_script){ .context = 4096, .queue_max = 1000 };
    fixture_script("Hello there");
    fake_apply();
    if (server_start(&f->server, &c, &err) != ST_OK) fail_msg("%s", err.text);
    f->port = server_port(f->server);
}

static void remove_folder(const char *root)
{
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json",
                                         "chat_template.jinja", "model.onnx", "." };
    static const char *const models[] = { "tiny", "other", "" };
    char path[192];

    for (size_t m = 0; m < COUNT(models); m++) {
        for (size_t i = 0; models[m][0] && i < COUNT(names); i++) {
            snprintf(path, sizeof path, "%s/models/%s/%s", root, models[m], names[i]);
            unlink(path);
        }
        snprintf(path, sizeof path, "%s/models/%s", root, models[m]);
        rmdir(path);
    }
    rmdir(root);
}

void fixture_stop(struct fixture *f)
{
    assert_int_equal(server_stop(f->server, NULL), ST_OK);
    f->server = NULL;
    assert_int_equal(atomic_load(&fake_counts.running), 0);
    assert_int_equal(atomic_load(&fake_counts.closed_early), 0);
    assert_int_equal(atomic_load(&fake_counts.opened), atomic_load(&fake_counts.closed));
    remove_folder(f->dir);
}

void fixture_script(const char *text)
{
    fake_script.n = strlen(text);
    for (size_t i = 0; i < fake_script.n; i++)
        fake_script.ids[i] = FIXTURE_FIRST_BYTE_ID + (unsigned char)text[i];
}

int fixture_submitted(void) { return atomic_load(&fake_counts.submitted); }

void fixture_wait_submitted(int n)
{
    const uint64_t t0 = os_now_ns();

    while (fixture_submitted() < n) {
        if (os_now_ns() - t0 > READ_TIMEOUT_S * UINT64_C(1000000000))
            fail_msg("the engine was given %d generations, not %d", fixture_submitted(), n);
        os_sleep_ns(1000000);
    }
}

int fixture_wait_idle(int ms_max)
{
    const uint64_t t0 = os_now_ns();

    for (;;) {
        const int ms = (int)((os_now_ns() - t0) / 1000000);
        if (atomic_load(&fake_counts.running) == 0) return ms;
        if (ms > ms_max) return -1;
        os_sleep_ns(1000000);
    }
}

/* ---- the client ---- */

int client_receive_bytes;

int client_connect(int port)
{
    fake_apply();
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in addr = { .sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval timeout = { .tv_sec = READ_TIMEOUT_S };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (client_receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &client_receive_bytes, sizeof client_receive_bytes);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0)
        fail_msg("cannot connect to port %d", port);
    return fd;
}

void client_send(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) return; /* the server may refuse in the middle: the answer tells */
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void dechunk(struct answer *a, const char *p, const char *end)
{
    struct str out = { 0 };

    while (p < end) {
        char *rest = NULL;
        const size_t n = strtoul(p, &rest, 16);
        if (!rest || rest + 2 > end) break;
        p = rest + 2;
        if (n == 0) {
            a->complete = true;
            break;
        }
        if (n + 2 > (size_t)(end - p)) break;
        str_put_n(&out, p, n);
        p += n + 2;
    }
    a->body = str_take(&out);
}

static struct answer split(const char *text, size_t n)
{
    struct answer a = { 0 };
    const char *mark = strstr(text, "\r\n\r\n");

    if (!mark) {
        a.head = mem_strdup(text);
        a.body = mem_strdup("");
        return a;
    }
    a.code = atoi(text + strlen("HTTP/1.1 "));
    a.head = mem_strndup(text, (size_t)(mark - text) + 2);
    const char *body = mark + 4, *end = text + n;
    const char *length = answer_header(&a, "Content-Length");
    if (answer_header(&a, "Transfer-Encoding")) {
        dechunk(&a, body, end);
    } else {
        a.body = mem_strndup(body, (size_t)(end - body));
        length = answer_header(&a, "Content-Length");
        a.complete = !length || (size_t)atol(length) == (size_t)(end - body);
    }
    return a;
}

struct answer client_read(int fd)
{
    struct str text = { 0 };
    char buf[16384];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) str_put_n(&text, buf, (size_t)n);
    close(fd);
    struct answer a = split(str_cstr(&text), text.len);
    str_fini(&text);
    return a;
}

void answer_free(struct answer *a)
{
    mem_free(a->head);
    mem_free(a->body);
    *a = (struct answer){ 0 };
}

const char *answer_header(const struct answer *a, const char *name)
{
    static _Thread_local char value[4096];
    const size_t n = strlen(name);

    for (const char *p = a->head; p && *p; p = strstr(p, "\r\n") ? strstr(p, "\r\n") + 2 : NULL) {
        if (strncasecmp(p, name, n) != 0 || p[n] != ':') continue;
        p += n + 1;
        while (*p == ' ') p++;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(p, "\r"), p);
        return value;
    }
    return NULL;
}

struct answer client_raw(int port, const char *bytes)
{
    const int fd = client_connect(port);

    client_send(fd, bytes, strlen(bytes));
    return client_read(fd);
}

static int begin(int port, const char *method, const char *target, const char *extra,
                 const char *body)
{
    struct str s = { 0 };
    const int fd = client_connect(port);

    str_printf(&s, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s", method, target,
               extra);
    if (body) str_printf(&s, "Content-Length: %zu\r\n", strlen(body));
    str_printf(&s, "\r\n%s", body ? body : "");
    client_send(fd, s.data, s.len);
    str_fini(&s);
    return fd;
}

struct answer client_get(int port, const char *target, const char *extra)
{
    return client_read(begin(port, "GET", target, extra, NULL));
}

struct answer client_post(int port, const char *target, const char *extra, const char *body)
{
    return client_read(begin(port, "POST", target, extra, body));
}

int client_chat_begin(int port, const char *members)
{
    struct str s = { 0 };

    str_printf(&s, "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s%s}",
               members[0] ? "," : "", members);
    const int fd = begin(port, "POST", "/v1/chat/completions", "", str_cstr(&s));
    str_fini(&s);
    return fd;
}

struct answer client_chat(int port, const char *members)
{
    return client_read(client_chat_begin(port, members));
}

/* ---- streams ---- */

char *stream_content(const char *body, int choice)
{
    struct str out = { 0 };

    for (const char *p = strstr(body, "data: {"); p; p = strstr(p + 1, "data: {")) {
        const size_t n = strcspn(p + 6, "\n");
        cJSON *json = NULL;
        if (json_parse(p + 6, n, NULL, &json, NULL) != ST_OK) fail_msg("event %.*s", (int)n, p);
        const cJSON *c = cJSON_GetArrayItem(json_get(json, "choices"), 0);
        const cJSON *content = json_get(json_get(c, "delta"), "content");
        if (c && json_get(c, "index")->valueint == choice && cJSON_IsString(content))
            str_put(&out, content->valuestring);
        json_free(json);
    }
    str_put(&out, "");
    return str_take(&out);
}
