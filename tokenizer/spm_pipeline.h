/* SPDX-License-Identifier: MIT */
/* SentencePiece's own pipeline, for a tokenizer.model whose folder names no other tokenizer class:
 * its normalizer (longest rule first, user-defined symbols left alone, its rules for blanks) and
 * the cut at user-defined symbols. */
#pragma once
#include "tokenizer/spm_wire.h"
#include "tokenizer/tok_internal.h"

/* Appends the normalizer, for BPE the stage that gives user-defined symbols their ids, and the
 * decoder. For Unigram the symbols are pieces of the lattice (load them with their own scores). */
status spm_pipeline_load(struct tokenizer *tok, const struct spm_model *m, struct err *err);
