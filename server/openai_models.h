/* SPDX-License-Identifier: MIT */
/* GET /v1/models and /v1/models/{name}. */
#pragma once
struct exchange;

void openai_models_list(struct exchange *ex);
void openai_models_get(struct exchange *ex);
