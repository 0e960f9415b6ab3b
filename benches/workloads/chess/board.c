/* Positions: attack tables, pieces on and off the board, make and unmake, moves. */
#include "board.h"

bitboard knight_attacks[64], king_attacks[64], pawn_attacks[2][64];

/* The rays of a queen on an empty board; the first four go to higher squares. */
enum { NORTH, EAST, NORTH_EAST, NORTH_WEST, SOUTH, WEST, SOUTH_WEST, SOUTH_EAST, DIRECTIONS };
static bitboard rays[DIRECTIONS][64];

static uint64_t key_piece[2][KINDS][64], key_castling[16], key_en_passant[65], key_turn;
/* Castling rights that survive a move from or to the square. */
static uint8_t castling_kept[64];

#define FILE_A UINT64_C(0x0101010101010101)
#define FILE_H (FILE_A << 7)
#define RANK_3 (UINT64_C(0xff) << 16)
#define RANK_6 (UINT64_C(0xff) << 40)
#define RANKS_LAST (UINT64_C(0xff) | UINT64_C(0xff) << 56)

/* ---- tables ---- */

static bitboard square_bit(int32_t file, int32_t rank) {
    bool inside = file >= 0 && file < 8 && rank >= 0 && rank < 8;
    return inside ? bit((uint32_t)(rank * 8 + file)) : 0;
}

static uint64_t random_key(struct random *r) {
    uint64_t high = random_next(r);
    return high << 32 | random_next(r);
}

static void attack_tables(void) {
    static const int8_t ray_steps[DIRECTIONS][2] = {{0, 1},  {1, 0},  {1, 1},   {-1, 1},
                                                    {0, -1}, {-1, 0}, {-1, -1}, {1, -1}};
    static const int8_t jumps[8][2] = {{1, 2},   {2, 1},   {2, -1}, {1, -2},
                                       {-1, -2}, {-2, -1}, {-2, 1}, {-1, 2}};
    for (int32_t square = 0; square < 64; square++) {
        int32_t file = square & 7, rank = square >> 3;
        for (int32_t d = 0; d < DIRECTIONS; d++) {
            int32_t f = ray_steps[d][0], r = ray_steps[d][1];
            king_attacks[square] |= square_bit(file + f, rank + r);
            knight_attacks[square] |= square_bit(file + jumps[d][0], rank + jumps[d][1]);
            for (int32_t n = 1; n < 8; n++) {
                rays[d][square] |= square_bit(file + n * f, rank + n * r);
            }
        }
        for (int32_t side = 0; side < 2; side++) {
            int32_t ahead = rank + (side == WHITE ? 1 : -1);
            pawn_attacks[side][square] = square_bit(file - 1, ahead) | square_bit(file + 1, ahead);
        }
    }
}

static void key_tables(void) {
    struct random r = {UINT64_C(0xc4e55b0a2d)};
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            for (uint32_t square = 0; square < 64; square++) {
                key_piece[side][kind][square] = random_key(&r);
            }
        }
    }
    for (uint32_t i = 0; i < 16; i++) key_castling[i] = random_key(&r);
    for (uint32_t i = 0; i < 64; i++) key_en_passant[i] = random_key(&r);
    key_turn = random_key(&r);
}

void board_tables(void) {
    attack_tables();
    key_tables();
    memset(castling_kept, 15, sizeof castling_kept);
    castling_kept[0] = 15 ^ CASTLE_WHITE_LONG;
    castling_kept[7] = 15 ^ CASTLE_WHITE_SHORT;
    castling_kept[4] = 15 ^ CASTLE_WHITE_LONG ^ CASTLE_WHITE_SHORT;
    castling_kept[56] = 15 ^ CASTLE_BLACK_LONG;
    castling_kept[63] = 15 ^ CASTLE_BLACK_SHORT;
    castling_kept[60] = 15 ^ CASTLE_BLACK_LONG ^ CASTLE_BLACK_SHORT;
}

/* ---- attacks ---- */

/* A ray up to the first piece on it, that square included. */
static inline bitboard ray_up(uint32_t direction, uint32_t square, bitboard occupied) {
    bitboard ray = rays[direction][square], blockers = ray & occupied;
    return blockers ? ray ^ rays[direction][lowest(blockers)] : ray;
}

static inline bitboard ray_down(uint32_t direction, uint32_t square, bitboard occupied) {
    bitboard ray = rays[direction][square], blockers = ray & occupied;
    return blockers ? ray ^ rays[direction][63 - __builtin_clzll(blockers)] : ray;
}

bitboard bishop_attacks(uint32_t square, bitboard occupied) {
    return ray_up(NORTH_EAST, square, occupied) | ray_up(NORTH_WEST, square, occupied) |
           ray_down(SOUTH_EAST, square, occupied) | ray_down(SOUTH_WEST, square, occupied);
}

bitboard rook_attacks(uint32_t square, bitboard occupied) {
    return ray_up(NORTH, square, occupied) | ray_up(EAST, square, occupied) |
           ray_down(SOUTH, square, occupied) | ray_down(WEST, square, occupied);
}

bitboard attackers(const struct board *b, uint32_t square, bitboard occupied) {
    bitboard straight = b->kinds[ROOK] | b->kinds[QUEEN];
    bitboard diagonal = b->kinds[BISHOP] | b->kinds[QUEEN];
    return (pawn_attacks[BLACK][square] & b->kinds[PAWN] & b->sides[WHITE]) |
           (pawn_attacks[WHITE][square] & b->kinds[PAWN] & b->sides[BLACK]) |
           (knight_attacks[square] & b->kinds[KNIGHT]) | (king_attacks[square] & b->kinds[KING]) |
           (bishop_attacks(square, occupied) & diagonal) | (rook_attacks(square, occupied) & straight);
}

static bool attacked(const struct board *b, uint32_t square, uint32_t by) {
    return (attackers(b, square, b->sides[0] | b->sides[1]) & b->sides[by]) != 0;
}

bool in_check(const struct board *b, uint32_t side) {
    return attacked(b, lowest(b->kinds[KING] & b->sides[side]), side ^ 1);
}

/* ---- pieces on and off the board ---- */

static void put(struct board *b, uint32_t side, uint32_t kind, uint32_t square) {
    b->kinds[kind] |= bit(square);
    b->sides[side] |= bit(square);
    b->at[square] = (uint8_t)kind;
    b->key ^= key_piece[side][kind][square];
    b->middle[side] += worth_middle[side][kind][square];
    b->end[side] += worth_end[side][kind][square];
    b->phase += phase_weight[kind];
}

static void lift(struct board *b, uint32_t side, uint32_t kind, uint32_t square) {
    b->kinds[kind] ^= bit(square);
    b->sides[side] ^= bit(square);
    b->at[square] = NO_PIECE;
    b->key ^= key_piece[side][kind][square];
    b->middle[side] -= worth_middle[side][kind][square];
    b->end[side] -= worth_end[side][kind][square];
    b->phase -= phase_weight[kind];
}

static const char piece_letters[] = "PNBRQKpnbrqk";

void board_read(struct board *b, const char *fen) {
    memset(b, 0, sizeof *b);
    memset(b->at, NO_PIECE, sizeof b->at);
    uint32_t file = 0, rank = 7;
    for (; *fen != ' '; fen++) {
        if (*fen == '/') {
            rank--;
            file = 0;
        } else if (*fen >= '1' && *fen <= '8') {
            file += (uint32_t)(*fen - '0');
        } else {
            uint32_t piece = (uint32_t)(strchr(piece_letters, *fen) - piece_letters);
            put(b, piece / KINDS, piece % KINDS, rank * 8 + file++);
        }
    }
    b->turn = fen[1] == 'w' ? WHITE : BLACK;
    for (fen += 3; *fen != ' '; fen++) {
        static const char letters[] = "KQkq";
        if (*fen != '-') b->castling |= (uint8_t)(1 << (strchr(letters, *fen) - letters));
    }
    b->en_passant = NO_SQUARE; /* no position of ours begins with one */
    b->key ^= key_castling[b->castling] ^ (b->turn == BLACK ? key_turn : 0);
}

void board_check(const struct board *b) {
    static struct board fresh;
    memset(&fresh, 0, sizeof fresh);
    for (uint32_t square = 0; square < 64; square++) {
        if (b->at[square] == NO_PIECE) continue;
        put(&fresh, b->sides[BLACK] >> square & 1, b->at[square], square);
    }
    uint64_t key = fresh.key ^ key_castling[b->castling] ^ key_en_passant[b->en_passant] ^
                   (b->turn == BLACK ? key_turn : 0);
    bool same = key == b->key && fresh.phase == b->phase;
    for (uint32_t side = 0; side < 2; side++) {
        same = same && fresh.sides[side] == b->sides[side] && fresh.end[side] == b->end[side] &&
               fresh.middle[side] == b->middle[side];
    }
    if (!same) workload_fail("a position disagrees with its pieces");
}

/* ---- make and unmake ---- */

static struct undo *remember(struct board *b) {
    if (b->plies == HISTORY_MAX) workload_fail("a game is too long");
    struct undo *u = &b->history[b->plies++];
    *u = (struct undo){b->key, NO_PIECE, b->castling, b->en_passant, b->fifty};
    b->key ^= key_turn ^ key_en_passant[b->en_passant];
    b->en_passant = NO_SQUARE;
    b->fifty += b->fifty < 255;
    return u;
}

static void forget(struct board *b) {
    const struct undo *u = &b->history[--b->plies];
    b->turn ^= 1;
    b->key = u->key;
    b->castling = u->castling;
    b->en_passant = u->en_passant;
    b->fifty = u->fifty;
}

/* The rook's part of castling, by the king's target. */
static void castle_rook(struct board *b, uint32_t side, uint32_t to, bool back) {
    uint32_t home = to & 4 ? to + 1 : to - 2, beside = to & 4 ? to - 1 : to + 1;
    lift(b, side, ROOK, back ? beside : home);
    put(b, side, ROOK, back ? home : beside);
}

static bool is_castling(uint32_t kind, uint32_t from, uint32_t to) {
    return kind == KING && (from == to + 2 || to == from + 2);
}

bool make(struct board *b, move m) {
    uint32_t from = move_from(m), to = move_to(m), side = b->turn, kind = b->at[from];
    uint32_t old_en_passant = b->en_passant;
    struct undo *u = remember(b);
    if (b->at[to] != NO_PIECE) {
        u->captured = b->at[to];
        lift(b, side ^ 1, u->captured, to);
        b->fifty = 0;
    }
    lift(b, side, kind, from);
    put(b, side, move_promotion(m) ? move_promotion(m) : kind, to);
    if (kind == PAWN) {
        b->fifty = 0;
        if (to == old_en_passant) lift(b, side ^ 1, PAWN, to ^ 8);
        uint32_t passed = (from + to) / 2;
        if ((from ^ to) == 16 && (pawn_attacks[side][passed] & b->kinds[PAWN] & b->sides[side ^ 1])) {
            b->en_passant = (uint8_t)passed;
        }
    } else if (is_castling(kind, from, to)) {
        castle_rook(b, side, to, false);
    }
    b->key ^= key_castling[b->castling] ^ key_en_passant[b->en_passant];
    b->castling &= castling_kept[from] & castling_kept[to];
    b->key ^= key_castling[b->castling];
    b->turn ^= 1;
    if (in_check(b, side)) {
        unmake(b, m);
        return false;
    }
    return true;
}

void unmake(struct board *b, move m) {
    uint32_t from = move_from(m), to = move_to(m), side = b->turn ^ 1;
    const struct undo *u = &b->history[b->plies - 1];
    uint32_t kind = move_promotion(m) ? PAWN : b->at[to];
    lift(b, side, b->at[to], to);
    put(b, side, kind, from);
    if (u->captured != NO_PIECE) put(b, side ^ 1, u->captured, to);
    if (kind == PAWN && to == u->en_passant) put(b, side ^ 1, PAWN, to ^ 8);
    if (is_castling(kind, from, to)) castle_rook(b, side, to, true);
    forget(b); /* the key last: put and lift changed it */
}

void make_null(struct board *b) {
    remember(b);
    b->turn ^= 1;
}

void unmake_null(struct board *b) { forget(b); }

bool repeated(const struct board *b) {
    for (uint32_t back = 4; back <= b->fifty && back <= b->plies; back += 2) {
        if (b->history[b->plies - back].key == b->key) return true;
    }
    return false;
}

/* ---- moves ---- */

static uint32_t add_pawn_moves(move *list, uint32_t n, bitboard targets, int32_t delta, bool loud) {
    while (targets) {
        uint32_t to = take_lowest(&targets), from = (uint32_t)((int32_t)to - delta);
        move m = (move)(from | to << 6);
        if (bit(to) & RANKS_LAST) {
            for (uint32_t kind = QUEEN; kind >= (loud ? QUEEN : KNIGHT); kind--) {
                list[n++] = (move)(m | kind << 12);
            }
        } else {
            list[n++] = m;
        }
    }
    return n;
}

static uint32_t pawn_moves(const struct board *b, move *list, uint32_t n, bool loud) {
    bitboard pawns = b->kinds[PAWN] & b->sides[b->turn], empty = ~(b->sides[0] | b->sides[1]);
    bitboard enemies = b->sides[b->turn ^ 1];
    if (b->en_passant != NO_SQUARE) enemies |= bit(b->en_passant);
    bitboard single, twice, west, east;
    int32_t ahead = b->turn == WHITE ? 8 : -8;
    if (b->turn == WHITE) {
        single = pawns << 8 & empty;
        twice = (single & RANK_3) << 8 & empty;
        west = (pawns & ~FILE_A) << 7 & enemies;
        east = (pawns & ~FILE_H) << 9 & enemies;
    } else {
        single = pawns >> 8 & empty;
        twice = (single & RANK_6) >> 8 & empty;
        west = (pawns & ~FILE_A) >> 9 & enemies;
        east = (pawns & ~FILE_H) >> 7 & enemies;
    }
    n = add_pawn_moves(list, n, west, ahead - 1, loud);
    n = add_pawn_moves(list, n, east, ahead + 1, loud);
    n = add_pawn_moves(list, n, loud ? single & RANKS_LAST : single, ahead, loud);
    return loud ? n : add_pawn_moves(list, n, twice, 2 * ahead, loud);
}

static uint32_t castling_moves(const struct board *b, move *list, uint32_t n) {
    uint32_t king = b->turn == WHITE ? 4 : 60, shift = b->turn == WHITE ? 0 : 2;
    bitboard occupied = b->sides[0] | b->sides[1];
    if (!(b->castling >> shift & 3) || attacked(b, king, b->turn ^ 1)) return n;
    bool is_short = b->castling >> shift & 1, is_long = b->castling >> shift & 2;
    if (is_short && !(occupied >> (king + 1) & 3) && !attacked(b, king + 1, b->turn ^ 1)) {
        list[n++] = (move)(king | (king + 2) << 6);
    }
    if (is_long && !(occupied >> (king - 3) & 7) && !attacked(b, king - 1, b->turn ^ 1)) {
        list[n++] = (move)(king | (king - 2) << 6);
    }
    return n;
}

uint32_t generate(const struct board *b, move *list, bool loud) {
    bitboard occupied = b->sides[0] | b->sides[1];
    bitboard allowed = loud ? b->sides[b->turn ^ 1] : ~b->sides[b->turn];
    uint32_t n = pawn_moves(b, list, 0, loud);
    bitboard pieces = b->sides[b->turn] & ~b->kinds[PAWN];
    while (pieces) {
        uint32_t from = take_lowest(&pieces);
        bitboard targets = 0;
        switch (b->at[from]) {
        case KNIGHT: targets = knight_attacks[from]; break;
        case BISHOP: targets = bishop_attacks(from, occupied); break;
        case ROOK: targets = rook_attacks(from, occupied); break;
        case QUEEN: targets = bishop_attacks(from, occupied) | rook_attacks(from, occupied); break;
        case KING: targets = king_attacks[from]; break;
        }
        for (targets &= allowed; targets;) list[n++] = (move)(from | take_lowest(&targets) << 6);
    }
    return loud ? n : castling_moves(b, list, n);
}

uint64_t perft(struct board *b, uint32_t depth) {
    move list[MOVES_MAX];
    uint64_t total = 0;
    uint32_t n = generate(b, list, false);
    for (uint32_t i = 0; i < n; i++) {
        if (!make(b, list[i])) continue;
        total += depth > 1 ? perft(b, depth - 1) : 1;
        unmake(b, list[i]);
    }
    return total;
}
