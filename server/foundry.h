/* SPDX-License-Identifier: MIT */
/* The Foundry Local dialect: /openai/status, models, loadedmodels, load, unload, unloadall, and
 * /foundry/list. Here a model is called NAME:VERSION; names without the version are understood. */
#pragma once
struct exchange;

void foundry_status(struct exchange *ex);
void foundry_models(struct exchange *ex);
void foundry_loaded_models(struct exchange *ex);
/* ?ttl=SECONDS (also timeout=), ?unload=BOOL, ?ep=PROVIDER. Answers when the model is in memory. */
void foundry_load(struct exchange *ex);
/* ?force=BOOL: without it a model whose time to live has not passed stays. Answers when the model
 * is out of memory; with force running answers are broken off, else they are waited for. */
void foundry_unload(struct exchange *ex);
void foundry_unload_all(struct exchange *ex);
void foundry_list(struct exchange *ex);
