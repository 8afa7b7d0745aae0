/* SPDX-License-Identifier: MIT */
/* Half floats, scalar: IEEE binary16 and bfloat16, round to nearest even, NaN kept. */
#pragma once
#include <stddef.h>
#include <stdint.h>

float half_to_f32(uint16_t h);
uint16_t half_from_f32(float f);
float bf16_to_f32(uint16_t h);
uint16_t bf16_from_f32(float f);
