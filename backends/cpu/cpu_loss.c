/* SPDX-License-Identifier: MIT */
/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

/* x [N, C, …], target [N, …], weights? [C]. */
struct loss {
    const struct tensor *x, *target, *weights, *log_prob;
    size_t channels, space;
    bool softmax, ignores;
    int64_t ignored;
};

static size_t loss_index(const struct loss *l, size_t i, size_t c)
{
    return (i / l->space * l->channels + c) * l->space + i % l->space;
}

/* log(sum(exp)) of the scores at place i. */
static double log_sum(const struct loss *l, size_t i)
{
    double max = -INFINITY, sum = 0;

    for (size_t c = 0; c < l->channels; c++) max = fmax(max, cpu_get(l->x, loss_index(l, i, c)));
    if (isinf(max)) return max;
    for (size_t c = 0; c < l->channels; c++) sum += exp(cpu_get(l->x, loss_index(l, i, c)) - max);
    return max + log(sum);
}

/* Loss and weight of place i; false when its target is no class. */
static bool loss_at(const struct loss *l, size_t i, double *loss, double *weight)
{
    const int64_t target = cpu_int_at(l->target, i);

    *loss = *weight = 0;
    if (l->ignores && target == l->ignored) return true;
    if (target < 0 || (size_t)target >= l->channels) return false;
    const double x = cpu_get(l->x, loss_index(l, i, (size_t)target));
    *weight = l->weights ? cpu_get(l->weights, (size_t)target) : 1;
    *loss = -(l->softmax ? x - log_sum(l, i) : x) * *weight;
    return true;
}

static void write_log_prob(const struct loss *l, size_t places)
{
    for (size_t i = 0; i < places; i++) {
        const double log = log_sum(l, i);

        for (size_t c = 0; c < l->channels; c++) {
            const size_t at = loss_index(l, i, c);
            cpu_put(l->log_prob, at, cpu_get(l->x, at) - log);
        }
    }
}

void cpu_loss(const struct cpu_task *t)
{
    const struct attrs_loss *a = &t->call->attr.loss;
    const struct tensor *out = cpu_out(t, 0);
    struct loss l = { .x = cpu_in(t, 0),
                      .target = cpu_in(t, 1),
                      .weights = cpu_in(t, 2),
                      .log_prob = cpu_out(t, 1),
                      .softmax = t->call->op == OP_SOFTMAXLOSS,
                      .ignores = a->has_ignore_index,
                      .ignored = a->ignore_index };
    const bool none = strcmp(a->reduction, "none") == 0, mean = strcmp(a->reduction, "mean") == 0;
    double sum = 0, weights = 0;

    if (t->worker != 0) return;
    l.channels = (size_t)l.x->type.dim[1];
    l.space = cpu_span(l.x, 2, l.x->type.ndim);
    const size_t places = (size_t)l.x->type.dim[0] * l.space;
    if (cpu_elements(l.target) != places || (l.weights && cpu_elements(l.weights) != l.channels) ||
        cpu_elements(out) != (none ? places : 1)) {
        cpu_fail(t, ST_SHAPE, "scores, targets and weights do not fit each other");
        return;
    }
    for (size_t i = 0; i < places; i++) {
        double loss, weight;

        if (!loss_at(&l, i, &loss, &weight)) {
            cpu_fail(t, ST_INVALID, "target %zu is none of %zu classes", i, l.channels);
            return;
        }
        if (none) cpu_put(out, i, loss);
        sum += loss;
        weights += weight;
    }
    if (!none) cpu_put(out, 0, mean ? sum / weights : sum);
    if (l.log_prob) write_log_prob(&l, places);
}
