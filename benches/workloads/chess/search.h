/* Iterative deepening alpha-beta with a transposition table. */
#ifndef CHESS_SEARCH_H
#define CHESS_SEARCH_H

#include "evaluate.h"

enum { PLY_MAX = 96, SCORE_MATE = 30000, SCORE_MATE_LEAST = SCORE_MATE - PLY_MAX };

struct entry {
    uint64_t key;
    int16_t score;
    move best;
    uint8_t depth, bound, age;
};

struct searcher {
    struct board board;
    struct entry *table;
    uint32_t table_mask;
    uint8_t age;
    uint64_t nodes, nodes_limit;
    uint64_t table_hits, cutoffs, cutoffs_first; /* how good the ordering is */
    bool stopped;
    move killers[PLY_MAX][2];
    int32_t history[2][64][64]; /* quiet moves that cut before */
};

struct verdict {
    move best;
    int32_t score;
    uint32_t depth;
};

/* Searches until `nodes` positions were visited. The side to move must have a move. */
struct verdict think(struct searcher *s, uint64_t nodes);

#endif
