/* Integer cosine transforms of 4x4 and 8x8 blocks, and quantization. */
#ifndef MOTION_TRANSFORM_H
#define MOTION_TRANSFORM_H

#include "../common/workload.h"

enum { QUANTIZER_MAX = 51 };

/* The places of a block from low to high frequencies: zigzag4[16] and zigzag8[64]. */
extern uint8_t zigzag4[16], zigzag8[64];
void transform_tables(void);

/* Transforms and quantizes a block of `n` x `n` differences into levels in zigzag order;
 * returns how many are not 0. */
uint32_t block_forward(const int16_t *block, uint32_t n, int16_t *levels, uint32_t quantizer);
/* The other way, nearly. */
void block_inverse(const int16_t *levels, uint32_t n, int16_t *block, uint32_t quantizer);

#endif
