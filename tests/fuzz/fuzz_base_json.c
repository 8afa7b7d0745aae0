/* SPDX-License-Identifier: MIT */
/* The JSON gate: whatever it accepts prints and parses again to the same tree. */
#include "base/base.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = { 0 };
    cJSON *tree, *again;

    if (json_parse((const char *)data, size, NULL, &tree, &err) != ST_OK) {
        if (err.code == ST_OK || err.text[0] == '\0') abort();
        return 0;
    }
    char *text = cJSON_PrintUnformatted(tree);
    if (!text) abort();
    if (json_parse(text, strlen(text), NULL, &again, NULL) != ST_OK) abort();
    if (!cJSON_Compare(tree, again, 1)) abort();
    cJSON_free(text);
    json_free(tree);
    json_free(again);
    return 0;
}
