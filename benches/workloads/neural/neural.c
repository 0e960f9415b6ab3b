/* Inference of a small neural network for pictures, in single precision and in
 * bytes; stands for the machine learning that users run as WebAssembly, which has no
 * member in SPEC CPU 2017.
 *
 * The network takes pictures of 32 x 32 pixels with three colours through three
 * stages of a convolution, a residual block with separable convolutions, and pooling,
 * then through two dense layers and a softmax. The same network runs a second time
 * with weights and activations of 8 bits and sums of 32 bits. Weights come from the
 * generator, scaled so that activations neither die out nor grow; the last layer is
 * fitted to the pictures it must tell apart: squares, rings, crosses, stripes and
 * others, at random places, in random colours, with noise.
 *
 * Nearly all time goes into the inner loops of convolutions over channels, which lie
 * next to each other in memory: products and sums of floats, or of bytes widened to
 * integers. They are written so that a compiler can use vectors.
 *
 * Sizes: pictures to fit to, pictures to recognise, and how many make a step. Verified: most test pictures are recognised,
 * shares sum to one, the byte network mostly agrees with the other, and one
 * convolution agrees with its definition. */
#include "../common/real.h"

enum {
    EDGE = 32,
    COLOURS = 3,
    CLASSES = 8,
    STAGES = 3,
    HIDDEN = 128,
    MAX_CHANNELS = 64,
    MAX_VALUES = EDGE * EDGE * 16, /* in any layer: the first stage has the most */
    MAX_FITTED = 160,
    FITTING_TURNS = 150,
    LANES = 8
};

/* ---- Layers ---- */

/* Values of a layer, row by row, the channels of a pixel next to each other. */
struct tensor {
    uint32_t edge;
    uint32_t channels;
    float at[MAX_VALUES];
};

/* A convolution with a square kernel and as many outputs as inputs along the edges.
 * Weights are ordered by kernel row, kernel column, input channel, output channel;
 * without the last where each channel is on its own. */
struct convolution {
    uint32_t kernel, in, out;
    bool separate;
    float *weights;
    float *bias;
    /* The same for the network of bytes: one scale per layer. */
    int8_t *byte_weights;
    int32_t *byte_bias;
    float byte_weight_unit;
    float byte_in_unit, byte_out_unit;
};

struct dense {
    uint32_t in, out;
    float *weights; /* by output, then input */
    float *bias;
    int8_t *byte_weights;
    int32_t *byte_bias;
    float byte_weight_unit, byte_in_unit, byte_out_unit;
};

struct stage {
    struct convolution enter;             /* 3 x 3 to more channels */
    struct convolution depthwise, points; /* the residual block */
};

struct network {
    struct stage stages[STAGES];
    struct dense hidden;
    struct dense last;
};

static const uint32_t stage_channels[STAGES + 1] = {COLOURS, 16, 32, MAX_CHANNELS};

static float weight(struct random *r, uint32_t inputs) {
    /* Keeps the mean square of activations through a layer with a ramp behind it. */
    return (float)((2.0 * random_unit(r) - 1.0) * real_sqrt(6.0 / inputs));
}

static struct convolution make_convolution(uint32_t kernel, uint32_t in, uint32_t out, bool separate,
                                           struct random *r) {
    struct convolution c = {.kernel = kernel, .in = in, .out = out, .separate = separate};
    uint32_t per_output = kernel * kernel * (separate ? 1 : in);
    c.weights = workload_allocate((size_t)per_output * out, sizeof *c.weights);
    c.byte_weights = workload_allocate((size_t)per_output * out, sizeof *c.byte_weights);
    c.bias = workload_allocate(out, sizeof *c.bias);
    c.byte_bias = workload_allocate(out, sizeof *c.byte_bias);
    for (uint32_t i = 0; i < per_output * out; i++) c.weights[i] = weight(r, per_output);
    for (uint32_t i = 0; i < out; i++) c.bias[i] = (float)(0.1 * random_unit(r) - 0.05);
    return c;
}

static struct dense make_dense(uint32_t in, uint32_t out, struct random *r) {
    struct dense d = {.in = in, .out = out};
    d.weights = workload_allocate((size_t)in * out, sizeof *d.weights);
    d.byte_weights = workload_allocate((size_t)in * out, sizeof *d.byte_weights);
    d.bias = workload_allocate(out, sizeof *d.bias);
    d.byte_bias = workload_allocate(out, sizeof *d.byte_bias);
    for (uint32_t i = 0; i < in * out; i++) d.weights[i] = weight(r, in);
    return d;
}

static struct network make_network(struct random *r) {
    struct network n;
    for (uint32_t s = 0; s < STAGES; s++) {
        uint32_t out = stage_channels[s + 1];
        n.stages[s].enter = make_convolution(3, stage_channels[s], out, false, r);
        n.stages[s].depthwise = make_convolution(3, out, out, true, r);
        n.stages[s].points = make_convolution(1, out, out, false, r);
    }
    uint32_t edge = EDGE >> STAGES;
    n.hidden = make_dense(edge * edge * MAX_CHANNELS, HIDDEN, r);
    n.last = make_dense(HIDDEN, CLASSES, r);
    return n;
}

static void free_convolution(struct convolution *c) {
    free(c->weights);
    free(c->byte_weights);
    free(c->bias);
    free(c->byte_bias);
}

static void free_dense(struct dense *d) {
    free(d->weights);
    free(d->byte_weights);
    free(d->bias);
    free(d->byte_bias);
}

static void free_network(struct network *n) {
    for (uint32_t s = 0; s < STAGES; s++) {
        free_convolution(&n->stages[s].enter);
        free_convolution(&n->stages[s].depthwise);
        free_convolution(&n->stages[s].points);
    }
    free_dense(&n->hidden);
    free_dense(&n->last);
}

/* Adds one input pixel to one output pixel. */
static inline void add_pixel(const struct convolution *c, const float *restrict in,
                             const float *restrict weights, float *restrict out) {
    uint32_t count = c->out;
    if (c->separate) {
        for (uint32_t o = 0; o < count; o++) out[o] += in[o] * weights[o];
        return;
    }
    for (uint32_t i = 0; i < c->in; i++) {
        float value = in[i];
        if (value == 0.0f) continue; /* half of them are, behind a ramp */
        for (uint32_t o = 0; o < count; o++) out[o] += value * weights[i * count + o];
    }
}

static void convolve(const struct convolution *c, const struct tensor *in, struct tensor *out) {
    uint32_t edge = in->edge, reach = c->kernel / 2;
    uint32_t per_pixel = c->separate ? c->out : c->in * c->out;
    out->edge = edge;
    out->channels = c->out;
    for (uint32_t y = 0; y < edge; y++) {
        for (uint32_t x = 0; x < edge; x++) {
            float *to = out->at + (y * edge + x) * c->out;
            memcpy(to, c->bias, c->out * sizeof *to);
            for (uint32_t k = 0; k < c->kernel * c->kernel; k++) {
                uint32_t iy = y + k / c->kernel - reach, ix = x + k % c->kernel - reach;
                if (iy >= edge || ix >= edge) continue; /* also what wrapped below 0 */
                add_pixel(c, in->at + (iy * edge + ix) * c->in, c->weights + k * per_pixel, to);
            }
        }
    }
}

static void ramp(struct tensor *t) {
    uint32_t count = t->edge * t->edge * t->channels;
    for (uint32_t i = 0; i < count; i++) t->at[i] = t->at[i] > 0.0f ? t->at[i] : 0.0f;
}

/* Half of a residual block's result is its input. */
static void add_half(struct tensor *t, const struct tensor *other) {
    uint32_t count = t->edge * t->edge * t->channels;
    for (uint32_t i = 0; i < count; i++) t->at[i] = 0.5f * (t->at[i] + other->at[i]);
}

/* The greatest of each four pixels. */
static void pool(const struct tensor *in, struct tensor *out) {
    uint32_t edge = in->edge / 2, channels = in->channels, row = in->edge * channels;
    out->edge = edge;
    out->channels = channels;
    for (uint32_t y = 0; y < edge; y++) {
        for (uint32_t x = 0; x < edge; x++) {
            const float *from = in->at + 2 * y * row + 2 * x * channels;
            float *to = out->at + (y * edge + x) * channels;
            for (uint32_t c = 0; c < channels; c++) {
                float a = from[c], b = from[c + channels];
                float d = from[c + row], e = from[c + row + channels];
                a = a > b ? a : b;
                d = d > e ? d : e;
                to[c] = a > d ? a : d;
            }
        }
    }
}

/* A product of vectors in LANES sums, since the order of additions is fixed. */
static float dot(const float *restrict a, const float *restrict b, uint32_t count) {
    float sums[LANES] = {0};
    for (uint32_t i = 0; i < count; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++) sums[lane] += a[i + lane] * b[i + lane];
    }
    float sum = 0.0f;
    for (uint32_t lane = 0; lane < LANES; lane++) sum += sums[lane];
    return sum;
}

static void apply_dense(const struct dense *d, const float *in, float *out) {
    for (uint32_t o = 0; o < d->out; o++) {
        out[o] = dot(in, d->weights + (size_t)o * d->in, d->in) + d->bias[o];
    }
}

static void softmax(const float *in, float *out) {
    float most = in[0], sum = 0.0f;
    for (int i = 1; i < CLASSES; i++) most = in[i] > most ? in[i] : most;
    for (int i = 0; i < CLASSES; i++) sum += out[i] = (float)real_exp(in[i] - most);
    for (int i = 0; i < CLASSES; i++) out[i] /= sum;
}

static int greatest(const float *values) {
    int best = 0;
    for (int i = 1; i < CLASSES; i++) {
        if (values[i] > values[best]) best = i;
    }
    return best;
}

/* The layers in between; `hidden` gets the activations before the last layer. */
struct space {
    struct tensor a, b, c;
};

static void run_to_hidden(const struct network *n, const struct tensor *picture,
                          struct space *space, float *hidden) {
    const struct tensor *in = picture;
    for (uint32_t s = 0; s < STAGES; s++) {
        const struct stage *stage = &n->stages[s];
        convolve(&stage->enter, in, &space->b);
        ramp(&space->b);
        convolve(&stage->depthwise, &space->b, &space->c);
        convolve(&stage->points, &space->c, &space->a);
        ramp(&space->a);
        add_half(&space->b, &space->a);
        pool(&space->b, &space->a);
        in = &space->a;
    }
    apply_dense(&n->hidden, in->at, hidden);
    for (uint32_t i = 0; i < HIDDEN; i++) hidden[i] = hidden[i] > 0.0f ? hidden[i] : 0.0f;
}

/* ---- Pictures ---- */

/* Whether a figure covers a place, in units of half its size from its middle. */
static bool covers(int figure, double x, double y) {
    double ax = real_abs(x), ay = real_abs(y), round = x * x + y * y;
    switch (figure) {
    case 0:
        return ax < 0.85 && ay < 0.85;                                /* square */
    case 1:
        return round < 1.0 && round > 0.45;                           /* ring */
    case 2:
        return (ax < 0.3 && ay < 1.0) || (ay < 0.3 && ax < 1.0);      /* cross */
    case 3:
        return ax < 1.0 && ay < 1.0 && real_floor((y + 1.0) * 2.5) % 2 == 0; /* lying stripes */
    case 4:
        return ax < 1.0 && ay < 1.0 && real_floor((x + 1.0) * 2.5) % 2 == 0; /* standing ones */
    case 5:
        return real_abs(x - y) < 0.4 && ax < 1.0 && ay < 1.0;         /* a slope */
    case 6:
        return real_abs(x + y) < 0.4 && ax < 1.0 && ay < 1.0;         /* the other slope */
    default:
        return ay < 1.0 && ax < 0.5 * (1.0 + y);                      /* triangle */
    }
}

static void draw(struct tensor *picture, int figure, struct random *r) {
    double half = 9.0 + 4.0 * random_unit(r);
    double x0 = EDGE / 2 + 4.0 * random_unit(r) - 2.0;
    double y0 = EDGE / 2 + 4.0 * random_unit(r) - 2.0;
    double ground[COLOURS], colour[COLOURS];
    for (int c = 0; c < COLOURS; c++) {
        ground[c] = 0.3 * random_unit(r);
        colour[c] = 0.65 + 0.35 * random_unit(r);
    }
    picture->edge = EDGE;
    picture->channels = COLOURS;
    for (uint32_t i = 0; i < EDGE * EDGE; i++) {
        bool covered = covers(figure, (i % EDGE - x0) / half, (i / EDGE - y0) / half);
        for (int c = 0; c < COLOURS; c++) {
            double value = (covered ? colour[c] : ground[c]) + 0.1 * (random_unit(r) - 0.5);
            picture->at[i * COLOURS + (uint32_t)c] = (float)real_min(real_max(value, 0.0), 1.0);
        }
    }
}

/* ---- Fitting ---- */

/* Fits the last layer to labelled pictures, by steps along the slope of the error. */
static void fit(struct network *n, float (*hidden)[HIDDEN], uint32_t count) {
    struct dense *last = &n->last;
    float size = 0.0f;
    for (uint32_t i = 0; i < HIDDEN * CLASSES; i++) last->weights[i] = 0.0f;
    for (uint32_t p = 0; p < count; p++) size += dot(hidden[p], hidden[p], HIDDEN);
    float rate = (float)count / size;
    for (uint32_t turn = 0; turn < FITTING_TURNS * count; turn++) {
        uint32_t p = turn % count;
        float sums[CLASSES], shares[CLASSES];
        apply_dense(last, hidden[p], sums);
        softmax(sums, shares);
        for (uint32_t o = 0; o < CLASSES; o++) {
            float error = (o == p % CLASSES ? 1.0f : 0.0f) - shares[o];
            float *weights = last->weights + o * HIDDEN;
            for (uint32_t i = 0; i < HIDDEN; i++) weights[i] += rate * error * hidden[p][i];
            last->bias[o] += 0.1f * error;
        }
    }
}

/* ---- The network of bytes ---- */

/* An activation is a byte from 0 to 255 behind a ramp, and -127 to 127 elsewhere, times
 * the unit of its layer; all are kept in 16 bits. */
struct byte_tensor {
    uint32_t edge;
    uint32_t channels;
    float unit;
    int16_t at[MAX_VALUES];
};

struct byte_space {
    struct byte_tensor a, b, c;
    int32_t sums[MAX_CHANNELS];
};

static float most_of(const float *values, size_t count) {
    float most = 1e-6f;
    for (size_t i = 0; i < count; i++) {
        float value = values[i] < 0.0f ? -values[i] : values[i];
        most = value > most ? value : most;
    }
    return most;
}

static int32_t rounded(float value) {
    return (int32_t)(value + (value < 0.0f ? -0.5f : 0.5f));
}

static int32_t clamped(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Rounds weights to bytes; gives their unit. */
static float to_bytes(const float *weights, size_t count, int8_t *out) {
    float unit = most_of(weights, count) / 127.0f;
    for (size_t i = 0; i < count; i++) out[i] = (int8_t)clamped(rounded(weights[i] / unit), -127, 127);
    return unit;
}

/* Widens a layer's unit so that what it gives for one more picture fits. */
static void widen(float *unit, const float *result, size_t count, float highest) {
    float needed = most_of(result, count) / highest;
    *unit = needed > *unit ? needed : *unit;
}

static void widen_convolution(struct convolution *c, const struct tensor *result, float highest) {
    widen(&c->byte_out_unit, result->at, result->edge * result->edge * result->channels, highest);
}

/* Runs the network on a picture to learn how large its activations become. */
static void observe(struct network *n, const struct tensor *picture, struct space *space) {
    const struct tensor *in = picture;
    float hidden[HIDDEN];
    for (uint32_t s = 0; s < STAGES; s++) {
        struct stage *stage = &n->stages[s];
        convolve(&stage->enter, in, &space->b);
        ramp(&space->b);
        widen_convolution(&stage->enter, &space->b, 255.0f);
        convolve(&stage->depthwise, &space->b, &space->c);
        widen_convolution(&stage->depthwise, &space->c, 127.0f);
        convolve(&stage->points, &space->c, &space->a);
        ramp(&space->a);
        /* The block's halves are added in the unit of its input. */
        widen_convolution(&stage->enter, &space->a, 255.0f);
        add_half(&space->b, &space->a);
        pool(&space->b, &space->a);
        in = &space->a;
    }
    apply_dense(&n->hidden, in->at, hidden);
    widen(&n->hidden.byte_out_unit, hidden, HIDDEN, 255.0f);
}

static void convolution_to_bytes(struct convolution *c, float in_unit) {
    size_t count = (size_t)c->kernel * c->kernel * (c->separate ? 1 : c->in) * c->out;
    c->byte_in_unit = in_unit;
    c->byte_weight_unit = to_bytes(c->weights, count, c->byte_weights);
    for (uint32_t o = 0; o < c->out; o++) {
        c->byte_bias[o] = rounded(c->bias[o] / (in_unit * c->byte_weight_unit));
    }
}

static void dense_to_bytes(struct dense *d, float in_unit) {
    d->byte_in_unit = in_unit;
    d->byte_weight_unit = to_bytes(d->weights, (size_t)d->in * d->out, d->byte_weights);
    for (uint32_t o = 0; o < d->out; o++) {
        d->byte_bias[o] = rounded(d->bias[o] / (in_unit * d->byte_weight_unit));
    }
}

/* Derives the network of bytes, when some pictures were observed. */
static void make_bytes(struct network *n) {
    float unit = 1.0f / 255.0f;
    for (uint32_t s = 0; s < STAGES; s++) {
        struct stage *stage = &n->stages[s];
        convolution_to_bytes(&stage->enter, unit);
        unit = stage->enter.byte_out_unit;
        convolution_to_bytes(&stage->depthwise, unit);
        convolution_to_bytes(&stage->points, stage->depthwise.byte_out_unit);
        stage->points.byte_out_unit = unit;
    }
    dense_to_bytes(&n->hidden, unit);
    dense_to_bytes(&n->last, n->hidden.byte_out_unit);
}

static inline void add_byte_pixel(const struct convolution *c, const int16_t *restrict in,
                                  const int8_t *restrict weights, int32_t *restrict sums) {
    uint32_t count = c->out;
    if (c->separate) {
        for (uint32_t o = 0; o < count; o++) sums[o] += in[o] * weights[o];
        return;
    }
    for (uint32_t i = 0; i < c->in; i++) {
        int32_t value = in[i];
        if (value == 0) continue;
        for (uint32_t o = 0; o < count; o++) sums[o] += value * weights[i * count + o];
    }
}

/* A convolution, with a ramp if `low` is 0. */
static void convolve_bytes(const struct convolution *c, const struct byte_tensor *in, int32_t *sums,
                           int32_t low, struct byte_tensor *out) {
    uint32_t edge = in->edge, reach = c->kernel / 2;
    uint32_t per_pixel = c->separate ? c->out : c->in * c->out;
    float by = c->byte_in_unit * c->byte_weight_unit / c->byte_out_unit;
    int32_t high = low < 0 ? 127 : 255;
    out->edge = edge;
    out->channels = c->out;
    out->unit = c->byte_out_unit;
    for (uint32_t y = 0; y < edge; y++) {
        for (uint32_t x = 0; x < edge; x++) {
            memcpy(sums, c->byte_bias, c->out * sizeof *sums);
            for (uint32_t k = 0; k < c->kernel * c->kernel; k++) {
                uint32_t iy = y + k / c->kernel - reach, ix = x + k % c->kernel - reach;
                if (iy >= edge || ix >= edge) continue;
                add_byte_pixel(c, in->at + (iy * edge + ix) * c->in,
                               c->byte_weights + k * per_pixel, sums);
            }
            int16_t *to = out->at + (y * edge + x) * c->out;
            for (uint32_t o = 0; o < c->out; o++) {
                to[o] = (int16_t)clamped(rounded((float)sums[o] * by), low, high);
            }
        }
    }
}

/* Adds half of a block's result to half of its input, and pools. */
static void join_bytes(const struct byte_tensor *a, const struct byte_tensor *b,
                       struct byte_tensor *out) {
    uint32_t edge = a->edge / 2, channels = a->channels, row = a->edge * channels;
    for (uint32_t y = 0; y < edge; y++) {
        for (uint32_t x = 0; x < edge; x++) {
            uint32_t from = 2 * y * row + 2 * x * channels;
            for (uint32_t c = 0; c < channels; c++) {
                int32_t most = 0;
                for (uint32_t corner = 0; corner < 4; corner++) {
                    uint32_t at = from + c + (corner & 1) * channels + (corner >> 1) * row;
                    int32_t value = (a->at[at] + b->at[at] + 1) >> 1;
                    most = value > most ? value : most;
                }
                out->at[(y * edge + x) * channels + c] = (int16_t)most;
            }
        }
    }
    out->edge = edge;
    out->channels = channels;
    out->unit = a->unit;
}

static int32_t dot_bytes(const int16_t *restrict a, const int8_t *restrict b, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

/* The shares of the classes by the network of bytes. */
static void run_bytes(const struct network *n, const struct tensor *picture,
                      struct byte_space *space, float *shares) {
    space->a.edge = EDGE;
    space->a.channels = COLOURS;
    for (uint32_t i = 0; i < EDGE * EDGE * COLOURS; i++) {
        space->a.at[i] = (int16_t)rounded(picture->at[i] * 255.0f);
    }
    for (uint32_t s = 0; s < STAGES; s++) {
        const struct stage *stage = &n->stages[s];
        convolve_bytes(&stage->enter, &space->a, space->sums, 0, &space->b);
        convolve_bytes(&stage->depthwise, &space->b, space->sums, -127, &space->c);
        convolve_bytes(&stage->points, &space->c, space->sums, 0, &space->a);
        join_bytes(&space->b, &space->a, &space->c);
        memcpy(&space->a, &space->c, sizeof space->a);
    }
    int16_t hidden[HIDDEN];
    float sums[CLASSES];
    const struct dense *d = &n->hidden;
    float by = d->byte_in_unit * d->byte_weight_unit / d->byte_out_unit;
    for (uint32_t o = 0; o < HIDDEN; o++) {
        int32_t sum = dot_bytes(space->a.at, d->byte_weights + (size_t)o * d->in, d->in);
        hidden[o] = (int16_t)clamped(rounded((float)(sum + d->byte_bias[o]) * by), 0, 255);
    }
    d = &n->last;
    for (uint32_t o = 0; o < CLASSES; o++) {
        int32_t sum = dot_bytes(hidden, d->byte_weights + o * HIDDEN, HIDDEN) + d->byte_bias[o];
        sums[o] = (float)sum * d->byte_in_unit * d->byte_weight_unit;
    }
    softmax(sums, shares);
}

/* ---- */

/* Compares some results of a convolution with the sums that define them. */
static void check_convolution(const struct convolution *c, const struct tensor *in,
                              struct tensor *out, struct random *r) {
    convolve(c, in, out);
    for (int point = 0; point < 50; point++) {
        uint32_t x = random_below(r, EDGE), y = random_below(r, EDGE), o = random_below(r, c->out);
        double sum = c->bias[o];
        for (uint32_t i = 0; i < 9 * c->in; i++) {
            uint32_t ix = x + i / c->in % 3 - 1, iy = y + i / c->in / 3 - 1;
            if (ix >= EDGE || iy >= EDGE) continue;
            sum += (double)in->at[(iy * EDGE + ix) * c->in + i % c->in] * c->weights[i * c->out + o];
        }
        if (!(real_abs(sum - out->at[(y * EDGE + x) * c->out + o]) < 1e-4)) {
            workload_fail("a convolution is not the sum it stands for");
        }
    }
}

static void take_shares(const float *shares, struct workload *w) {
    double sum = 0.0;
    for (int i = 0; i < CLASSES; i++) {
        sum += shares[i];
        workload_hash_real(w, shares[i], 1e6);
    }
    if (!(real_abs(sum - 1.0) < 1e-5)) workload_fail("the shares do not sum to one");
}

/* Draws labelled pictures and makes both networks from them. */
static void prepare(struct network *n, struct space *space, struct tensor *picture,
                    struct random *r, const struct workload *w) {
    static float hidden[MAX_FITTED][HIDDEN];
    uint32_t count = workload_pick(w, 16, 96, MAX_FITTED);
    uint32_t per_step = workload_pick(w, 1, 16, 80);
    for (uint32_t p = 0; p < count; p++) {
        draw(picture, (int)(p % CLASSES), r);
        run_to_hidden(n, picture, space, hidden[p]);
        if (p < CLASSES) observe(n, picture, space);
        if ((p + 1) % per_step == 0) workload_step(w);
    }
    fit(n, hidden, count);
    make_bytes(n);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random r = {UINT64_C(0x6e657572616c)};
    real_check();
    struct network n = make_network(&r);
    struct space *space = workload_allocate(1, sizeof *space);
    struct byte_space *bytes = workload_allocate(1, sizeof *bytes);
    struct tensor *picture = workload_allocate(1, sizeof *picture);
    draw(picture, 3, &r);
    check_convolution(&n.stages[0].enter, picture, &space->b, &r);
    prepare(&n, space, picture, &r, &w);

    uint32_t per_step = workload_pick(&w, 1, 8, 40);
    uint32_t pictures = workload_pick(&w, 28, 640, 7200);
    uint32_t right = 0, right_bytes = 0, same = 0;
    for (uint32_t p = 0; p < pictures; p++) {
        float hidden[HIDDEN], sums[CLASSES], shares[CLASSES], byte_shares[CLASSES];
        int figure = (int)random_below(&r, CLASSES);
        draw(picture, figure, &r);
        run_to_hidden(&n, picture, space, hidden);
        apply_dense(&n.last, hidden, sums);
        softmax(sums, shares);
        run_bytes(&n, picture, bytes, byte_shares);
        take_shares(shares, &w);
        take_shares(byte_shares, &w);
        int found = greatest(shares), found_bytes = greatest(byte_shares);
        right += found == figure;
        right_bytes += found_bytes == figure;
        same += found == found_bytes;
        if ((p + 1) % per_step == 0) workload_step(&w);
    }
    if (right * 10 < pictures * 6) workload_fail("the network does not recognise its pictures");
    if (same * 10 < pictures * 6) workload_fail("the network of bytes is too unlike the other");

    workload_hash(&w, (uint64_t)right << 32 | right_bytes);
    printf("pictures %u, recognised %u in floats and %u in bytes\n", pictures, right, right_bytes);
    printf("both say the same for %u\n", same);
    free(space);
    free(bytes);
    free(picture);
    free_network(&n);
    return workload_end(&w);
}
