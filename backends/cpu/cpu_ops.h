/* SPDX-License-Identifier: MIT */
/* Every operator function of the cpu backend, by file. */
#pragma once
#include "backends/cpu/cpu.h"

/* cpu_elementwise.c */
cpu_op_fn cpu_unary, cpu_clip, cpu_biasact, cpu_arith, cpu_pow, cpu_variadic, cpu_gatedact;
/* cpu_compare.c */
cpu_op_fn cpu_compare, cpu_logic, cpu_where, cpu_test, cpu_cast;
/* cpu_shape.c */
cpu_op_fn cpu_copy, cpu_dropout, cpu_constant, cpu_fill, cpu_shape, cpu_size_op, cpu_range,
    cpu_selectrows;
/* cpu_move.c */
cpu_op_fn cpu_transpose, cpu_concat, cpu_split, cpu_slice, cpu_expand, cpu_tile, cpu_trilu;
/* cpu_reduce.c */
cpu_op_fn cpu_reduce, cpu_argmax, cpu_softmax, cpu_cumsum;
/* cpu_gather.c */
cpu_op_fn cpu_gather, cpu_gathercols, cpu_gatherq;
cpu_prepare_fn cpu_gathercols_prepare;
/* cpu_matmul.c */
cpu_op_fn cpu_matmul, cpu_gemm;
cpu_prepare_fn cpu_matmul_prepare, cpu_gemm_prepare;
cpu_scratch_fn cpu_matmul_scratch, cpu_gemm_scratch;
/* cpu_int_matmul.c */
cpu_op_fn cpu_dynquant, cpu_int_matmul;
cpu_prepare_fn cpu_int_matmul_prepare;
cpu_scratch_fn cpu_dynquant_scratch, cpu_int_matmul_scratch;
/* cpu_activation.c */
cpu_op_fn cpu_activation, cpu_bits, cpu_slope, cpu_sum;
/* cpu_select.c */
cpu_op_fn cpu_gathernd, cpu_scatternd, cpu_onehot, cpu_compress, cpu_nonzero, cpu_reversesequence;
/* cpu_pad.c */
cpu_op_fn cpu_pad, cpu_centercroppad, cpu_depthspace, cpu_eyelike;
/* cpu_conv.c, cpu_conv_transpose.c, cpu_deform.c, cpu_pool.c */
cpu_scratch_fn cpu_conv_scratch, cpu_conv_transpose_scratch;
cpu_op_fn cpu_conv, cpu_conv_transpose, cpu_deformconv, cpu_col2im, cpu_pool, cpu_maxunpool;
/* cpu_resize.c, cpu_vision.c */
cpu_op_fn cpu_resize, cpu_gridsample, cpu_affinegrid, cpu_roialign;
/* cpu_moments.c, cpu_loss.c */
cpu_op_fn cpu_batchnorm, cpu_groupnorm, cpu_lrn, cpu_mvn, cpu_loss;
/* cpu_quantize.c */
cpu_op_fn cpu_dequant, cpu_quantizelinear, cpu_qlinearmatmul;
/* cpu_values.c */
cpu_op_fn cpu_unique, cpu_nms, cpu_einsum, cpu_det, cpu_tfidf;
cpu_scratch_fn cpu_unique_scratch, cpu_nms_scratch, cpu_det_scratch;
/* cpu_rnn.c, cpu_signal.c */
cpu_op_fn cpu_rnn, cpu_dft, cpu_stft, cpu_cosine_window, cpu_melweights;
cpu_scratch_fn cpu_rnn_scratch;
/* cpu_linear.c, cpu_linear_pack.c */
cpu_op_fn cpu_linear;
cpu_prepare_fn cpu_linear_prepare;
cpu_scratch_fn cpu_linear_scratch;
/* cpu_nbits.c */
cpu_op_fn cpu_nbits;
cpu_prepare_fn cpu_nbits_prepare;
cpu_scratch_fn cpu_nbits_scratch;
/* cpu_moe.c, cpu_moe_pack.c */
cpu_op_fn cpu_moe;
cpu_prepare_fn cpu_moe_prepare;
cpu_scratch_fn cpu_moe_scratch;
/* cpu_elements.c, cpu_topk.c */
cpu_op_fn cpu_gatherelements, cpu_scatterelements, cpu_tensorscatter, cpu_topk;
cpu_scratch_fn cpu_topk_scratch;
/* cpu_linattn.c, cpu_causal_conv.c, cpu_gated.c */
cpu_op_fn cpu_linattn, cpu_linattngate, cpu_causalconv, cpu_gatedrmsnorm, cpu_gatedadd, cpu_lpnorm;
cpu_scratch_fn cpu_linattn_scratch, cpu_lines_scratch, cpu_causalconv_scratch,
    cpu_gatedrmsnorm_scratch;
/* cpu_seqconv.c, cpu_linattn.c */
cpu_op_fn cpu_seqconv, cpu_seqlinattn;
cpu_prepare_fn cpu_seqconv_prepare;
cpu_scratch_fn cpu_seqlinattn_scratch;
/* cpu_attention23.c */
cpu_op_fn cpu_attention23;
cpu_scratch_fn cpu_attention23_scratch;
/* cpu_norm.c */
cpu_op_fn cpu_rmsnorm, cpu_layernorm, cpu_skiprmsnorm, cpu_skiplayernorm, cpu_headnorm;
cpu_scratch_fn cpu_norm_scratch;
/* cpu_embed_norm.c */
cpu_op_fn cpu_embed_norm;
cpu_scratch_fn cpu_embed_norm_scratch;
/* cpu_mha.c, cpu_packed_attention.c */
cpu_op_fn cpu_multihead, cpu_packed_attention;
cpu_prepare_fn cpu_packed_attention_prepare;
cpu_scratch_fn cpu_multihead_scratch, cpu_packed_attention_scratch;
/* cpu_rotary.c */
cpu_op_fn cpu_rotary, cpu_rotary23, cpu_mrotary;
cpu_scratch_fn cpu_rotary_scratch;
/* cpu_gqa.c */
cpu_op_fn cpu_gqa;
cpu_scratch_fn cpu_gqa_scratch;
/* cpu_seqrotary.c */
cpu_op_fn cpu_seqrotary;
/* cpu_shape.c */
cpu_op_fn cpu_filllike;
cpu_scratch_fn cpu_seqrotary_scratch;
/* cpu_selfattn.c, cpu_seqrows.c */
cpu_op_fn cpu_selfattn, cpu_posrows, cpu_seqquant, cpu_seqcumsum, cpu_pastchoice;
cpu_scratch_fn cpu_selfattn_scratch, cpu_seqquant_scratch;
/* cpu_seqattn.c */
cpu_op_fn cpu_seqattn;
cpu_scratch_fn cpu_seqattn_scratch;

/* Scale and zero point of ONNX's DynamicQuantizeLinear for a range that holds 0. */
void cpu_byte_scale(const float range[2], float *scale, uint8_t *zero);

/* out[at] = reduction ("add", "mul", "max", "min") of what is there and updates[i]; false for any
 * other. */
bool cpu_reduce_into(const struct tensor *out, size_t at, const struct tensor *updates, size_t i,
                     const char *reduction);
