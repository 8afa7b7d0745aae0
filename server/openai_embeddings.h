/* SPDX-License-Identifier: MIT */
/* POST /v1/embeddings. */
#pragma once
struct exchange;

void openai_embeddings(struct exchange *ex);
