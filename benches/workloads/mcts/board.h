/* The board of Go, 9x9: chains of stones with liberties, legal moves, playing a stone.
 *
 * Points lie in rows of ten with a rim, so that a neighbour is an addition away and
 * needs no test. A chain is a circular list of stones with one of them as its head.
 * Liberties are counted once per stone that touches them; sum and sum of squares of
 * the points tell when they are all the same one, which is atari. */
#ifndef MCTS_BOARD_H
#define MCTS_BOARD_H

#include "../common/workload.h"

enum { SIDE = 9, STRIDE = SIDE + 1, POINTS = STRIDE * (SIDE + 2) + 1, AREA = SIDE * SIDE };
enum { EMPTY, BLACK, WHITE, RIM };
enum { PASS = 0, NOWHERE = 0 }; /* points of the rim */
enum { KOMI_TWICE = 13 };

typedef uint8_t point;

struct chain {
    uint16_t stones;
    uint16_t liberties;
    uint32_t sum, squares;
};

struct board {
    uint8_t colour[POINTS];
    point head[POINTS], next[POINTS];
    struct chain chains[POINTS];    /* at their heads */
    point empty[AREA];
    uint8_t empty_index[POINTS];
    uint8_t empty_count;
    uint8_t turn, passes;
    point ko;                       /* where a stone may not go at once */
    point last;
    uint16_t moves;
};

static inline uint8_t other(uint8_t colour) { return (uint8_t)(BLACK + WHITE - colour); }

static inline point at(uint32_t column, uint32_t row) {
    return (point)((row + 1) * STRIDE + column + 1);
}

static const int8_t sides[4] = {-STRIDE, -1, 1, STRIDE};
static const int8_t corners[4] = {-STRIDE - 1, -STRIDE + 1, STRIDE - 1, STRIDE + 1};

static inline point beside(point p, uint32_t i) { return (point)(p + sides[i]); }

static inline struct chain *chain_of(struct board *b, point p) { return &b->chains[b->head[p]]; }

static inline bool in_atari(const struct chain *c) {
    return (uint32_t)c->liberties * c->squares == c->sum * c->sum;
}

/* The liberty of a chain in atari. */
static inline point liberty(const struct chain *c) { return (point)(c->sum / c->liberties); }

void board_clear(struct board *b);
bool is_legal(struct board *b, point p);
/* Whether the point is an eye of the side to move, better not filled. */
bool is_eye(const struct board *b, point p);
/* Plays a legal move or a pass. */
void play(struct board *b, point p);
/* Black's points minus white's, twice, komi taken off. */
int32_t score_twice(const struct board *b);
/* Fails unless chains and liberties are what a look at the stones gives. */
void board_check(struct board *b);

#endif
