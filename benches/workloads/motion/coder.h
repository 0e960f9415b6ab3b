/* What the encoder and the decoder share: macroblocks, prediction, the bit stream. */
#ifndef MOTION_CODER_H
#define MOTION_CODER_H

#include "picture.h"
#include "transform.h"

enum { MACROBLOCK = 16, PIXELS = MACROBLOCK * MACROBLOCK };
enum mode { MODE_INTER, MODE_SPLIT, MODE_INTRA, MODES };
enum intra { INTRA_MEAN, INTRA_DOWN, INTRA_ACROSS, INTRA_PLANE, INTRAS };

/* In quarters of a pixel. */
struct motion {
    int16_t x, y;
};

struct macroblock {
    enum mode mode;
    enum intra intra;
    bool large;                /* 8x8 transforms */
    struct motion motions[4];  /* of the 8x8 quarters */
    int16_t levels[PIXELS];    /* block after block, each in zigzag order */
};

struct bits {
    uint8_t *bytes;
    uint32_t capacity, count;  /* of bits */
};

struct coder {
    const struct picture *reference;
    struct picture *picture;   /* reconstructed here */
    struct motion *field;      /* of 8x8 blocks, with a rim of one */
    int32_t field_stride;
    uint32_t quantizer;
    bool key;                  /* a picture without a reference */
    struct bits bits;
};

void coder_make(struct coder *c, int32_t width, int32_t height);
void coder_free(struct coder *c);

/* The vector of a quarter; column and row count 8x8 blocks. */
static inline struct motion *motion_at(const struct coder *c, int32_t column, int32_t row) {
    return &c->field[(row + 1) * c->field_stride + column + 1];
}
/* What a quarter's vector will be like, from its neighbours. */
struct motion motion_guess(const struct coder *c, int32_t x, int32_t y, uint32_t quarter, bool whole);
void motion_note(const struct coder *c, int32_t x, int32_t y, const struct macroblock *m);

/* The square of the reference that a vector points to; rows of `out` are 16 apart. */
void predict_inter(const struct picture *p, int32_t x, int32_t y, struct motion v, int32_t size,
                   uint8_t *out);
void predict_intra(const struct picture *p, int32_t x, int32_t y, enum intra mode, uint8_t *out);
void predict(const struct coder *c, const struct macroblock *m, int32_t x, int32_t y, uint8_t *out);
/* Adds what the levels say to the prediction and puts it into the picture. */
void reconstruct(const struct coder *c, const struct macroblock *m, int32_t x, int32_t y,
                 const uint8_t *predicted);

/* Numbers are written in Exp-Golomb code. */
uint32_t unsigned_bits(uint32_t value);
uint32_t signed_bits(int32_t value);
void put_unsigned(struct bits *b, uint32_t value);
void put_signed(struct bits *b, int32_t value);
uint32_t get_unsigned(struct bits *b);
int32_t get_signed(struct bits *b);

/* How many bits the levels of a block take. */
uint32_t levels_bits(const int16_t *levels, uint32_t count, uint32_t nonzero);
void write_macroblock(struct coder *c, const struct macroblock *m, int32_t x, int32_t y);
/* Reads `c->bits` from its beginning into the picture. */
void decode_picture(struct coder *c);

/* Appends to the bits and reconstructs the picture. */
void encode_picture(struct coder *c, const struct picture *source);

#endif
