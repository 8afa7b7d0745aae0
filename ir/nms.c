/* SPDX-License-Identifier: MIT */
#include "ir/ir.h"

struct box {
    float y0, x0, y1, x1;
};

static struct box box_at(const struct ir_nms *p, size_t at)
{
    const float *v = (const float *)p->boxes->data + 4 * at;

    if (p->centers) /* x_center, y_center, width, height */
        return (struct box){ v[1] - v[3] / 2, v[0] - v[2] / 2, v[1] + v[3] / 2, v[0] + v[2] / 2 };
    return (struct box){ v[0] < v[2] ? v[0] : v[2], v[1] < v[3] ? v[1] : v[3],
                         v[0] < v[2] ? v[2] : v[0], v[1] < v[3] ? v[3] : v[1] };
}

static float area(struct box b) { return (b.y1 - b.y0) * (b.x1 - b.x0); }

static bool overlaps(struct box a, struct box b, float threshold)
{
    const float h = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 > b.y0 ? a.y0 : b.y0);
    const float w = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 > b.x0 ? a.x0 : b.x0);

    if (!(h > 0 && w > 0) || area(a) <= 0 || area(b) <= 0) return false;
    return h * w / (area(a) + area(b) - h * w) > threshold;
}

/* The chosen boxes of one class, best first, into `chosen`. */
static size_t choose(const struct ir_nms *p, size_t batch, const float *scores, size_t n,
                     size_t *chosen)
{
    size_t n_chosen = 0, last = n;

    while (n_chosen < (size_t)p->boxes_max) {
        size_t best = n;

        /* the next one after `last` in order of score, then index */
        for (size_t i = 0; i < n; i++) {
            const bool after =
                last == n || scores[i] < scores[last] || (scores[i] == scores[last] && i > last);

            if (after && (best == n || scores[i] > scores[best])) best = i;
        }
        if (best == n || (p->has_score_threshold && !(scores[best] > p->score_threshold))) break;
        last = best;
        bool keep = true;
        for (size_t k = 0; keep && k < n_chosen; k++)
            keep = !overlaps(box_at(p, batch * n + best), box_at(p, batch * n + chosen[k]),
                             p->iou_threshold);
        if (keep) chosen[n_chosen++] = best;
    }
    return n_chosen;
}

size_t ir_nms_run(const struct ir_nms *p, size_t *work, int64_t *out)
{
    const size_t batches = (size_t)p->scores->type.dim[0];
    const size_t classes = (size_t)p->scores->type.dim[1], n = (size_t)p->scores->type.dim[2];
    size_t total = 0;

    for (size_t i = 0; p->boxes_max > 0 && i < batches * classes; i++) {
        const float *scores = (const float *)p->scores->data + i * n;
        const size_t found = choose(p, i / classes, scores, n, work);

        for (size_t k = 0; out && k < found; k++) {
            out[3 * (total + k)] = (int64_t)(i / classes);
            out[3 * (total + k) + 1] = (int64_t)(i % classes);
            out[3 * (total + k) + 2] = (int64_t)work[k];
        }
        total += found;
    }
    return total;
}
