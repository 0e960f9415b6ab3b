/* Evaluation: place values as formulas, pawn structure, mobility, king safety. */
#include "evaluate.h"

int32_t worth_middle[2][KINDS][64], worth_end[2][KINDS][64];
const int32_t phase_weight[KINDS] = {0, 1, 1, 2, 4, 0};
const int32_t piece_value[KINDS + 1] = {100, 320, 335, 500, 960, 20000, 0};

enum { PHASE_FULL = 24 };

static bitboard file_mask[8], beside_mask[8];
static bitboard passed_mask[2][64]; /* where no enemy pawn may stand for a passed pawn */

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

/* From 0 at the rim to 3 in the middle. */
static int32_t centre(int32_t line) { return smaller(line, 7 - line); }

/* Place values are formulas of file and rank as the owner sees them. */
static void place_values(int32_t kind, int32_t file, int32_t rank, int32_t *middle, int32_t *end) {
    int32_t f = centre(file), r = centre(rank);
    *middle = *end = kind == KING ? 0 : piece_value[kind];
    switch (kind) {
    case PAWN:
        *middle += rank * 3 + (f == 3 ? 6 * smaller(rank - 1, 3) : 0) - (rank == 1 && f == 3 ? 12 : 0);
        *end += rank * rank * 2 - 4;
        break;
    case KNIGHT:
        *middle += 8 * (f + r) - 26 - (rank == 0 ? 10 : 0);
        *end += 7 * (f + r) - 22;
        break;
    case BISHOP:
        *middle += 4 * (f + r) - 12 - (rank == 0 ? 10 : 0);
        *end += 4 * (f + r) - 12;
        break;
    case ROOK:
        *middle += 3 * f + (rank == 6 ? 18 : 0);
        *end += rank == 6 ? 12 : 2 * rank;
        break;
    case QUEEN:
        *middle += (f + r) * 2 - (rank > 1 ? 4 : 0);
        *end += 5 * (f + r) - 12;
        break;
    case KING:
        *middle += 34 - 11 * rank - 9 * f - (rank > 2 ? 30 : 0);
        *end += 10 * (f + r) - 26;
        break;
    }
}

void evaluate_tables(void) {
    for (int32_t square = 0; square < 64; square++) {
        int32_t file = square & 7, rank = square >> 3;
        for (int32_t kind = 0; kind < KINDS; kind++) {
            place_values(kind, file, rank, &worth_middle[WHITE][kind][square],
                         &worth_end[WHITE][kind][square]);
            place_values(kind, file, 7 - rank, &worth_middle[BLACK][kind][square],
                         &worth_end[BLACK][kind][square]);
        }
        file_mask[file] |= bit((uint32_t)square);
    }
    for (int32_t file = 0; file < 8; file++) {
        beside_mask[file] = (file > 0 ? file_mask[file - 1] : 0) | (file < 7 ? file_mask[file + 1] : 0);
    }
    for (uint32_t square = 0; square < 64; square++) {
        uint32_t rank = square >> 3;
        bitboard files = file_mask[square & 7] | beside_mask[square & 7];
        passed_mask[WHITE][square] = rank < 7 ? files << (8 * (rank + 1)) : 0;
        passed_mask[BLACK][square] = rank > 0 ? files >> (8 * (8 - rank)) : 0;
    }
}

struct terms {
    int32_t middle, end;
};

static void pawn_terms(const struct board *b, uint32_t side, struct terms *t) {
    bitboard own = b->kinds[PAWN] & b->sides[side], theirs = b->kinds[PAWN] & b->sides[side ^ 1];
    for (bitboard rest = own; rest;) {
        uint32_t square = take_lowest(&rest), file = square & 7;
        bool isolated = !(own & beside_mask[file]);
        bool doubled = (own & file_mask[file] & ~bit(square)) != 0;
        t->middle -= (isolated ? 12 : 0) + (doubled ? 8 : 0);
        t->end -= (isolated ? 10 : 0) + (doubled ? 14 : 0);
        if (!(theirs & passed_mask[side][square])) {
            int32_t rank = (int32_t)(side == WHITE ? square >> 3 : 7 - (square >> 3));
            t->middle += rank * rank * 2;
            t->end += rank * rank * 4;
        }
        if (pawn_attacks[side ^ 1][square] & own) t->middle += 5;
    }
}

static int32_t shelter(const struct board *b, uint32_t side, uint32_t king) {
    bitboard zone = king_attacks[king] | bit(king);
    zone |= side == WHITE ? zone << 8 : zone >> 8;
    bitboard own = b->kinds[PAWN] & b->sides[side];
    int32_t bonus = 9 * (int32_t)count(zone & own);
    return bonus - (file_mask[king & 7] & own ? 0 : 20);
}

static void piece_terms(const struct board *b, uint32_t side, struct terms *t) {
    /* Per reachable square: knight, bishop, rook, queen; the last is not for the king. */
    static const int8_t mobility_middle[KINDS] = {0, 4, 5, 2, 1, 0};
    static const int8_t mobility_end[KINDS] = {0, 3, 5, 4, 3, 0};
    static const int8_t usual[KINDS] = {0, 4, 6, 7, 13, 0};
    static const int8_t threat[KINDS] = {0, 8, 7, 11, 18, 0};
    bitboard occupied = b->sides[0] | b->sides[1], pawns = b->kinds[PAWN];
    uint32_t enemy_king = lowest(b->kinds[KING] & b->sides[side ^ 1]);
    bitboard pieces = b->sides[side] & ~pawns & ~b->kinds[KING];
    int32_t pressure = 0, pressing = 0;
    while (pieces) {
        uint32_t square = take_lowest(&pieces), kind = b->at[square];
        bitboard reach = 0;
        if (kind == KNIGHT) reach = knight_attacks[square];
        if (kind == BISHOP || kind == QUEEN) reach |= bishop_attacks(square, occupied);
        if (kind == ROOK || kind == QUEEN) reach |= rook_attacks(square, occupied);
        int32_t squares = (int32_t)count(reach & ~b->sides[side]) - usual[kind];
        t->middle += squares * mobility_middle[kind];
        t->end += squares * mobility_end[kind];
        int32_t hits = (int32_t)count(reach & king_attacks[enemy_king]);
        pressure += hits * threat[kind];
        pressing += hits > 0;
        if (kind == ROOK && !(file_mask[square & 7] & pawns & b->sides[side])) {
            t->middle += file_mask[square & 7] & pawns ? 10 : 22;
        }
    }
    if (pressing > 1) t->middle += pressure * smaller(pressing, 4) / 4;
    if (count(b->kinds[BISHOP] & b->sides[side]) > 1) {
        t->middle += 28;
        t->end += 45;
    }
}

int32_t evaluate(const struct board *b) {
    struct terms t[2];
    for (uint32_t side = 0; side < 2; side++) {
        t[side] = (struct terms){b->middle[side], b->end[side]};
        pawn_terms(b, side, &t[side]);
        piece_terms(b, side, &t[side]);
        t[side].middle += shelter(b, side, lowest(b->kinds[KING] & b->sides[side]));
    }
    uint32_t us = b->turn, them = us ^ 1;
    int32_t phase = smaller(b->phase, PHASE_FULL);
    int32_t middle = t[us].middle - t[them].middle, end = t[us].end - t[them].end;
    return (middle * phase + end * (PHASE_FULL - phase)) / PHASE_FULL + 10;
}

int32_t exchange(const struct board *b, move m) {
    uint32_t from = move_from(m), to = move_to(m), side = b->turn, depth = 0;
    int32_t gain[33];
    bitboard occupied = b->sides[0] | b->sides[1];
    uint32_t kind = b->at[from];
    gain[0] = piece_value[b->at[to]];
    bitboard straight = b->kinds[ROOK] | b->kinds[QUEEN], diagonal = b->kinds[BISHOP] | b->kinds[QUEEN];
    bitboard all = attackers(b, to, occupied), taker = bit(from);
    do {
        depth++;
        gain[depth] = piece_value[kind] - gain[depth - 1];
        occupied ^= taker;
        /* A piece behind the taker may see the square now. */
        if (kind != KNIGHT && kind != KING) {
            all |= (bishop_attacks(to, occupied) & diagonal) | (rook_attacks(to, occupied) & straight);
        }
        all &= occupied;
        side ^= 1;
        taker = 0;
        for (kind = PAWN; kind < KINDS; kind++) {
            taker = all & b->sides[side] & b->kinds[kind];
            taker &= ~taker + 1;
            if (taker) break;
        }
        if (kind == KING && (all & b->sides[side ^ 1])) break; /* the king may not take */
    } while (taker && depth < 31);
    while (--depth) gain[depth - 1] = -(gain[depth] > -gain[depth - 1] ? gain[depth] : -gain[depth - 1]);
    return gain[0];
}
