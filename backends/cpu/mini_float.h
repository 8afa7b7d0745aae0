/* SPDX-License-Identifier: MIT */
/* Floats of 8 and 4 bits, scalar: four f8 forms, f4 e2m1, and the power-of-two scale e8m0. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum mini_kind { MINI_E4M3FN, MINI_E4M3FNUZ, MINI_E5M2, MINI_E5M2FNUZ, MINI_E2M1, MINI_E8M0 };
enum mini_round {
    MINI_NEAREST,
    MINI_UP,
    MINI_DOWN
}; /* of e8m0; the others round to nearest even */

float mini_to_f32(enum mini_kind kind, uint8_t code);
/* Beyond the largest number: that number when `saturate` (always with e2m1 and e8m0), else infinity
 * where the form has one, else NaN. */
uint8_t mini_from_f32(enum mini_kind kind, float x, bool saturate, enum mini_round round);
