/* SPDX-License-Identifier: MIT */
/* The whole selector, and the listing: kernels.def expanded. */
#include "kernels/kernels.h"

#include <string.h>

struct kern_table kern;

void kern_init(uint32_t allowed)
{
    const uint32_t have = kern_cpu_features() & allowed;

    memset(&kern, 0, sizeof kern);
#define KERNEL_SLOT(slot)
#define KERNEL(slot, variant, needs)                                                               \
    if (!kern.slot && ((needs) & ~have) == 0) kern.slot = kern_##slot##_##variant;
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
}

enum row_index {
#define KERNEL_SLOT(slot)
#define KERNEL(slot, variant, needs) ROW_##slot##_##variant,
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
    ROWS
};

size_t kern_row_count(void) { return ROWS; }

struct kern_row kern_row_at(size_t i)
{
    static const struct {
        const char *slot, *variant;
        uint32_t needs;
    } rows[ROWS] = {
#define KERNEL_SLOT(slot)
#define KERNEL(slot, variant, needs) { #slot, #variant, needs },
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
    };
    struct kern_row row = { 0 };

    if (i >= ROWS) return row;
    row = (struct kern_row){ .slot = rows[i].slot,
                             .variant = rows[i].variant,
                             .needs = rows[i].needs,
                             .runnable = (rows[i].needs & ~kern_cpu_features()) == 0 };
    switch (i) {
#define KERNEL_SLOT(slot)
#define KERNEL(slot, variant, needs)                                                               \
    case ROW_##slot##_##variant:                                                                   \
        row.chosen = kern.slot == kern_##slot##_##variant;                                         \
        break;
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
    }
    return row;
}
